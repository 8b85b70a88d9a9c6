-- Which of several coordinators does the upkeep of the queue. `term` grows whenever it changes hands; `expires_at` is by the
-- database's clock. It saves work and decides nothing: all that is done under it is guarded by itself.
CREATE TABLE leader (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    term BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
