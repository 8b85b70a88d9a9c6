//! "Did you mean": the known name that an unknown one is closest to.

/// The closest of the known names, where one is close enough to be meant.
pub(crate) fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A long text is no misspelling of a short name, and comparing it would take its square in time.
    if name.len() > 64 {
        return None;
    }
    let last = |dotted: &str| dotted.rsplit('.').next().unwrap_or_default().to_owned();
    known
        .into_iter()
        .map(|candidate| {
            let whole = strsim::damerau_levenshtein(name, candidate);
            // `epocs` is meant as `train.epochs`, one name part against one name part.
            let part = 1 + strsim::damerau_levenshtein(&last(name), &last(candidate));
            (whole.min(part), candidate)
        })
        .filter(|(distance, _)| *distance <= 1 + last(name).chars().count() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The sentence about it.
pub(crate) fn did_you_mean<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    closest(name, known).map(|name| format!("did you mean `{name}`?"))
}

/// The path of a setting's axis, for messages.
pub(crate) fn axis_path(key: crate::setting::Key) -> String {
    format!("axes.{}", key.setting().short())
}
