//! The store's contract: one suite, run against memory, SQLite and PostgreSQL.

mod fixture;
mod history;
mod leader;
mod operations;
mod race;
mod reading;
mod share;
mod sqlite;
mod sweeps;
mod views;
mod work;

/// Makes a test of each function for each engine.
macro_rules! on_every_engine {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::super::fixture::memory()).await;
            })+
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::super::fixture::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                if let Some(fixture) = super::super::fixture::postgres().await {
                    super::$name(&fixture).await;
                }
            })+
        }
    };
}
use on_every_engine;
