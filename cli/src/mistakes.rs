//! Mistakes of a sweep file as people see them: the line, an arrow, what was expected, the way out.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use descent_spec::sweep::{Mistake, Mistakes};
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
};

use crate::exit::Failed;

/// One mistake as a diagnostic.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Shown {
    text: String,
    help: Option<String>,
    file: NamedSource<Arc<str>>,
    span: std::ops::Range<usize>,
}

impl Diagnostic for Shown {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<_>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.file)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new_with_span(Some("here".to_owned()), self.span.clone());
        Some(Box::new(std::iter::once(label)))
    }
}

/// The error of a command whose sweep file (`path`, with the text `source`) has mistakes: exit code 2.
pub(crate) fn failed(path: &Path, source: &str, mistakes: &Mistakes) -> anyhow::Error {
    let terminal = std::io::stderr().is_terminal();
    let theme = match (terminal, std::env::var_os("NO_COLOR").is_some()) {
        (true, false) => GraphicalTheme::unicode(),
        (true, true) => GraphicalTheme::unicode_nocolor(),
        (false, _) => GraphicalTheme::none(),
    };
    Failed::usage(rendered(path, source, mistakes, theme))
}

/// All mistakes, each with its place in the file.
fn rendered(path: &Path, source: &str, mistakes: &Mistakes, theme: GraphicalTheme) -> String {
    let source: Arc<str> = source.into();
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(110)
        .with_context_lines(1);
    let count = mistakes.list.len() + mistakes.left_out;
    let mut text = match count {
        1 => format!("{} has a mistake; nothing was done\n", path.display()),
        _ => format!(
            "{} has {count} mistakes; nothing was done\n",
            path.display()
        ),
    };
    for mistake in &mistakes.list {
        text.push('\n');
        let shown = shown(path, &source, mistake);
        if handler.render_report(&mut text, &shown).is_err() {
            // A place that cannot be drawn is still a mistake to be told.
            text.push_str(&mistake.to_string());
        }
    }
    if mistakes.left_out > 0 {
        text += &format!("\nand {} more\n", mistakes.left_out);
    }
    text.truncate(text.trim_end().len());
    text
}

fn shown(path: &Path, source: &Arc<str>, mistake: &Mistake) -> Shown {
    let text = match mistake.path.as_str() {
        "" => mistake.message.clone(),
        key => format!("{key}: {}", mistake.message),
    };
    Shown {
        text,
        help: mistake.help.clone(),
        file: NamedSource::new(path.display().to_string(), Arc::clone(source)),
        span: mistake.span.clone(),
    }
}

#[cfg(test)]
mod tests {
    use descent_spec::sweep::Sweep;

    use super::*;

    #[test]
    fn every_mistake_is_shown_with_file_line_column_and_way_out() {
        let source = "name = \"My Sweep\"\n[train]\nepocs = 3\n";
        let mistakes = Sweep::parse(source).unwrap_err();
        let text = rendered(
            Path::new("a.toml"),
            source,
            &mistakes,
            GraphicalTheme::none(),
        );
        assert!(
            text.starts_with("a.toml has 5 mistakes; nothing was done\n"),
            "{text}"
        );
        for part in [
            "[a.toml:1:8]",
            "name: a name is",
            "help: for example \"my-sweep\"",
            "[a.toml:3:1]",
            "epocs = 3",
            "help: did you mean `train.epochs`?",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
