//! From the text of a condition to its tree, checked against the table of settings.

use std::ops::Range;

use super::token::{Token, tokens};
use super::{Comparison, Condition, Operand};
use crate::setting::{Key, Kind, SETTINGS, Setting};
use crate::sweep::suggest;

/// Longest condition, in bytes.
pub const MAX_CONDITION_BYTES: usize = 4096;
/// Deepest nesting of parentheses and `not`.
const MAX_DEPTH: usize = 64;

/// What is wrong with a condition, and where in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// Bytes of the condition.
    pub(crate) at: Range<usize>,
    /// What is wrong.
    pub(crate) message: String,
    /// The way out.
    pub(crate) help: Option<String>,
}

impl Flaw {
    pub(super) fn new(at: Range<usize>, message: String) -> Self {
        Self {
            at,
            message,
            help: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help = help.into();
        self
    }
}

/// Reads a condition; on failure, everything that is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Condition, Vec<Flaw>> {
    if text.len() > MAX_CONDITION_BYTES {
        let message = format!(
            "a condition has at most {MAX_CONDITION_BYTES} bytes, this one {}",
            text.len()
        );
        return Err(vec![Flaw::new(0..text.len(), message)]);
    }
    let tokens = tokens(text).map_err(|flaw| vec![flaw])?;
    let mut parser = Parser {
        tokens,
        next: 0,
        end: text.len(),
        flaws: Vec::new(),
    };
    let condition = parser.or(0).and_then(|condition| match parser.peek() {
        None => Ok(condition),
        Some(_) => Err(parser.expected("`and`, `or` or the end")),
    });
    match condition {
        Ok(condition) if parser.flaws.is_empty() => Ok(condition),
        Ok(_) => Err(parser.flaws),
        Err(flaw) => {
            parser.flaws.push(flaw);
            Err(parser.flaws)
        }
    }
}

struct Parser {
    tokens: Vec<(Token, Range<usize>)>,
    next: usize,
    end: usize,
    /// Unknown names and wrong types: noted, so that reading goes on.
    flaws: Vec<Flaw>,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    fn place(&self) -> Range<usize> {
        self.tokens
            .get(self.next)
            .map_or(self.end..self.end, |(_, at)| at.clone())
    }

    fn take_name(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Name(name)) if name == word);
        self.next += usize::from(found);
        found
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.next += usize::from(found);
        found
    }

    fn expected(&self, what: &str) -> Flaw {
        let found = match self.peek() {
            None => "the condition ends".to_owned(),
            Some(Token::Name(name)) => format!("found `{name}`"),
            Some(Token::Number(number)) => format!("found {number}"),
            Some(Token::Text(text)) => format!("found \"{text}\""),
            Some(Token::Sign(sign)) => format!("found `{sign}`"),
        };
        Flaw::new(self.place(), format!("expected {what}, but {found}"))
    }

    fn or(&mut self, depth: usize) -> Result<Condition, Flaw> {
        let mut left = self.and(depth)?;
        while self.take_name("or") {
            left = Condition::Or(Box::new(left), Box::new(self.and(depth)?));
        }
        Ok(left)
    }

    fn and(&mut self, depth: usize) -> Result<Condition, Flaw> {
        let mut left = self.not(depth)?;
        while self.take_name("and") {
            left = Condition::And(Box::new(left), Box::new(self.not(depth)?));
        }
        Ok(left)
    }

    fn not(&mut self, depth: usize) -> Result<Condition, Flaw> {
        if depth > MAX_DEPTH {
            let message = format!("a condition nests at most {MAX_DEPTH} deep");
            return Err(Flaw::new(self.place(), message));
        }
        if self.take_name("not") {
            return Ok(Condition::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.take_sign("(") {
            let inner = self.or(depth + 1)?;
            return if self.take_sign(")") {
                Ok(inner)
            } else {
                Err(self.expected("`)`"))
            };
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Condition, Flaw> {
        let (left, left_at) = self.operand()?;
        let comparison_at = self.place();
        let Some(comparison) = self.comparison_sign() else {
            let mut flaw = self.expected("a comparison");
            if matches!(&left, Some(Operand::Setting(key)) if key.setting().kind == Kind::Boolean) {
                flaw.help = Some("write `== true` after it".to_owned());
            }
            return Err(flaw);
        };
        let (right, right_at) = self.operand()?;
        if matches!(self.peek(), Some(Token::Sign(sign)) if !matches!(*sign, "(" | ")")) {
            return Err(self
                .expected("`and`, `or` or the end")
                .help("comparisons do not chain: write `3 < width and width < 10`".to_owned()));
        }
        let (Some(left), Some(right)) = (left, right) else {
            // An unknown name is noted already; what it is compared with cannot be judged.
            return Ok(Condition::Compare(
                Operand::Boolean(true),
                comparison,
                Operand::Boolean(true),
            ));
        };
        self.check(
            &left,
            &left_at,
            comparison,
            &comparison_at,
            &right,
            &right_at,
        );
        Ok(Condition::Compare(left, comparison, right))
    }

    fn comparison_sign(&mut self) -> Option<Comparison> {
        let comparison = match self.peek()? {
            Token::Sign("==") => Comparison::Equal,
            Token::Sign("!=") => Comparison::NotEqual,
            Token::Sign("<") => Comparison::Less,
            Token::Sign("<=") => Comparison::LessOrEqual,
            Token::Sign(">") => Comparison::Greater,
            Token::Sign(">=") => Comparison::GreaterOrEqual,
            _ => return None,
        };
        self.next += 1;
        Some(comparison)
    }

    /// An operand and its place; `None` for a name that no setting has.
    fn operand(&mut self) -> Result<(Option<Operand>, Range<usize>), Flaw> {
        let at = self.place();
        let operand = match self.peek() {
            Some(Token::Number(number)) => Some(Operand::Number(*number)),
            Some(Token::Text(text)) => Some(Operand::Text(text.clone())),
            Some(Token::Name(name)) => match name.as_str() {
                "true" => Some(Operand::Boolean(true)),
                "false" => Some(Operand::Boolean(false)),
                "and" | "or" | "not" => return Err(self.expected("a setting or a value")),
                name => match Setting::find(name) {
                    Some(setting) => Some(Operand::Setting(setting.key)),
                    None => {
                        let flaw = unknown(name, at.clone());
                        self.flaws.push(flaw);
                        None
                    }
                },
            },
            Some(Token::Sign(_)) | None => return Err(self.expected("a setting or a value")),
        };
        self.next += 1;
        Ok((operand, at))
    }

    fn check(
        &mut self,
        left: &Operand,
        left_at: &Range<usize>,
        comparison: Comparison,
        comparison_at: &Range<usize>,
        right: &Operand,
        right_at: &Range<usize>,
    ) {
        let whole = left_at.start..right_at.end;
        match (left, right) {
            (Operand::Setting(a), Operand::Setting(b)) => {
                if Class::of_setting(*a) != Class::of_setting(*b) {
                    let message = format!(
                        "`{}` is {}, `{}` is {}: they cannot be compared",
                        a.setting().short(),
                        Class::of_setting(*a).words(),
                        b.setting().short(),
                        Class::of_setting(*b).words()
                    );
                    self.flaws.push(Flaw::new(whole, message));
                    return;
                }
            }
            (Operand::Setting(key), literal) => self.check_literal(*key, literal, right_at),
            (literal, Operand::Setting(key)) => self.check_literal(*key, literal, left_at),
            _ => {
                let message = "neither side is a setting: this is always or never so".to_owned();
                self.flaws.push(Flaw::new(whole, message));
                return;
            }
        }
        let orders = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        let class = match (left, right) {
            (Operand::Setting(key), _) | (_, Operand::Setting(key)) => Class::of_setting(*key),
            _ => return,
        };
        if orders && class != Class::Number {
            let message = format!("only numbers have an order, this is {}", class.words());
            self.flaws
                .push(Flaw::new(comparison_at.clone(), message).help("use == or !=".to_owned()));
        }
    }

    fn check_literal(&mut self, key: Key, literal: &Operand, at: &Range<usize>) {
        let setting = key.setting();
        let class = match literal {
            Operand::Number(_) => Class::Number,
            Operand::Text(_) => Class::Text,
            Operand::Boolean(_) => Class::Boolean,
            Operand::Setting(_) => return,
        };
        if class != Class::of_setting(key) {
            let message = format!(
                "`{}` is {}, this is {}",
                setting.short(),
                Class::of_setting(key).words(),
                class.words()
            );
            self.flaws.push(Flaw::new(at.clone(), message));
        } else if let (Kind::Word(words), Operand::Text(text)) = (setting.kind, literal)
            && !words.contains(&text.as_str())
        {
            let message = format!(
                "`{}` is never \"{text}\": it is {}",
                setting.short(),
                setting.kind
            );
            let help = suggest::did_you_mean(text, words.iter().copied());
            self.flaws.push(Flaw::new(at.clone(), message).help(help));
        }
    }
}

fn unknown(name: &str, at: Range<usize>) -> Flaw {
    let names = SETTINGS
        .iter()
        .flat_map(|setting| setting.alias.into_iter().chain([setting.name]));
    let is_word =
        |setting: &Setting| matches!(setting.kind, Kind::Word(words) if words.contains(&name));
    let help = if SETTINGS.iter().any(is_word) {
        Some(format!("a word needs quotes: '{name}'"))
    } else {
        suggest::did_you_mean(name, names)
    };
    Flaw::new(at, format!("there is no setting `{name}`")).help(help)
}

/// What can be compared with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Number,
    Text,
    Boolean,
}

impl Class {
    fn of_setting(key: Key) -> Self {
        match key.setting().kind {
            Kind::Boolean => Self::Boolean,
            Kind::Integer { .. } | Kind::Float { .. } => Self::Number,
            Kind::Word(_) | Kind::Text { .. } | Kind::Layers | Kind::Epochs => Self::Text,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Boolean => "true or false",
        }
    }
}
