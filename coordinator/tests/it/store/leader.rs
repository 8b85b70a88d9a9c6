//! Who does the upkeep of a database that several coordinators share.

use super::fixture;

#[tokio::test]
async fn the_upkeep_is_one_coordinators_until_it_resigns_or_falls_silent() {
    let Some(f) = fixture::postgres().await else {
        return;
    };
    let lead = async |holder: &str, ms: i64| f.store.lead(holder, ms).await.unwrap();
    const LONG: i64 = 60_000;
    assert_eq!(lead("a", LONG).await, Some(1));
    assert_eq!(lead("b", LONG).await, None);
    assert_eq!(lead("a", LONG).await, Some(1));
    f.store.resign("b").await.unwrap();
    assert_eq!(lead("b", LONG).await, None);
    f.store.resign("a").await.unwrap();
    assert_eq!(lead("b", LONG).await, Some(2));
    // Its time is over: by the database's clock, whatever anybody's own says.
    assert_eq!(lead("b", -1).await, Some(2));
    assert_eq!(lead("a", LONG).await, Some(3));
}

#[tokio::test]
async fn who_shares_with_nobody_always_has_it() {
    for f in [fixture::memory(), fixture::sqlite().await] {
        assert!(f.store.lead("a", 1).await.unwrap().is_some());
        assert!(f.store.lead("b", 1).await.unwrap().is_some());
        assert!(f.store.time().await.unwrap().is_none());
    }
}
