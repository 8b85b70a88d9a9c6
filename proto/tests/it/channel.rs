//! Which addresses and tokens a connection takes.

use descent_proto::channel::{Connection, Credentials, InvalidTarget};

#[tokio::test]
async fn addresses_are_urls() {
    let try_one = |url: &str| Connection::new(&[url], &Credentials::default()).map(|_| ());
    for good in [
        "http://127.0.0.1:4780",
        "http://[::1]:4780",
        "https://descent.example:443",
        " http://localhost:1 ",
    ] {
        assert!(try_one(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "localhost:4780",
        "ftp://localhost",
        "http://",
        "http://a b",
        "tcp://1",
    ] {
        let refused = try_one(bad);
        assert!(
            matches!(refused, Err(InvalidTarget::Url { .. })),
            "{bad}: {refused:?}"
        );
    }
    let none: [&str; 0] = [];
    let refused = Connection::new(&none, &Credentials::default()).map(|_| ());
    assert!(matches!(refused, Err(InvalidTarget::Empty)));
}

#[tokio::test]
async fn a_token_travels_in_a_header() {
    let with = |token: &str| {
        let credentials = Credentials {
            token: Some(token.to_owned()),
            authority: None,
        };
        Connection::new(&["http://localhost:1"], &credentials).map(|_| ())
    };
    assert!(with("abc-123").is_ok());
    assert!(matches!(with("two\nlines"), Err(InvalidTarget::Token)));
}
