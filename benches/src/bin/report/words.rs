//! What the page says in words.

/// The groups in the order of the page, and how each is headed.
pub(crate) const GROUPS: [(&str, &str); 6] = [
    ("sign", "Tokens, beside the bare signature and beside other libraries"),
    ("exchange", "The exchange in memory, beside the signature in it"),
    ("http", "The endpoint, beside a bare handler and beside another server"),
    ("postgres", "The store in PostgreSQL, beside pgbench"),
    ("redis", "The store in Redis, beside redis-benchmark"),
    ("load", "Latency against load, in an open loop"),
];

/// How the page begins.
pub(crate) const OPENING: &str = include_str!("opening.md");

/// What a target is: a ratio unless a unit is named.
pub(crate) fn what(target: &str) -> Option<&'static str> {
    WHAT.iter().find(|(name, _)| *name == target).map(|(_, what)| *what)
}

const WHAT: [(&str, &str); 41] = [
    ("mint", "a complete access token ÷ the raw signature over its bytes"),
    ("verify", "the first strict verification of a token ÷ the raw strict verification"),
    ("verify_cached", "one of a token that passed before ÷ the raw strict verification"),
    (
        "refuse",
        "the dearest refusal: garbage, unknown kid, expired, over-long ÷ the raw verification",
    ),
    ("mint_p99_us", "p99 ÷ median of a mint while every core mints"),
    ("allocations_mint", "heap allocations of one mint, counted"),
    ("allocations_first_verify", "heap allocations of one first verification, counted"),
    ("allocations_cached_verify", "heap allocations of one remembered verification, counted"),
    ("memory_bytes", "bytes that a live grant takes in `MemoryStore`, ten a person"),
    ("mint_rust_crypto", "a complete access token ÷ the raw signature, by ed25519-dalek"),
    ("mint_aws_lc", "a complete access token ÷ the raw signature, by aws-lc"),
    (
        "mint_vs_jsonwebtoken_rust_crypto",
        "÷ jsonwebtoken's encode of the same claims, both RustCrypto",
    ),
    ("mint_vs_jsonwebtoken_aws_lc", "÷ jsonwebtoken's encode of the same claims, both aws-lc"),
    ("verify_vs_jsonwebtoken_rust_crypto", "÷ jsonwebtoken's decode of the token, both RustCrypto"),
    (
        "verify_vs_jsonwebtoken_aws_lc",
        "÷ jsonwebtoken's decode of the token by aws-lc; ours verifies by RustCrypto",
    ),
    ("mint_vs_each_jsonwebtoken", "mint ÷ jsonwebtoken's, each as it comes"),
    ("mint_vs_each_jwt-simple", "mint ÷ jwt-simple's, each as it comes"),
    ("mint_vs_each_pasetors", "mint ÷ pasetors', each as it comes"),
    ("mint_vs_each_josekit", "mint ÷ josekit's, each as it comes"),
    ("mint_vs_each_biscuit-auth", "mint ÷ biscuit-auth's, each as it comes"),
    ("exchange", "the engine's whole one-time exchange ÷ the raw signature"),
    ("exchange_2t", "what a second thread gains ÷ what it gains the raw signature"),
    ("exchange_growth", "an exchange among 10 million live grants ÷ among 10 thousand"),
    (
        "http",
        "requests/s, without logging, limits and look-ups ÷ those of a bare axum handler that parses and signs",
    ),
    ("http_vs_oidc_provider", "requests/s ÷ oidc-provider's, one process and one core each"),
    ("http_p99", "p99 at half the top rate ÷ bare axum's"),
    ("start_ms", "ms from the start of the process to its first 200"),
    ("pg_redeem_64", "redemptions/s of 64 callers ÷ pgbench's at its best"),
    ("pg_redeem_256", "redemptions/s of 256 callers ÷ pgbench's at its best"),
    ("pg_issue_256", "issues/s of 256 callers ÷ pgbench's at its best"),
    ("pg_latency_1", "median redemption of a lone caller ÷ pgbench's"),
    ("pg_p99_64", "p99 of 64 callers ÷ that of pgbench's 64 clients"),
    ("pg_wal", "WAL bytes of an issue and its redemption ÷ pgbench's"),
    ("pg_growth", "a redemption among 10 million grants ÷ among 10 thousand"),
    ("redis_redeem_256", "redemptions/s of 256 callers ÷ redis-benchmark's 256 plain clients"),
    (
        "redis_redeem_pipelined",
        "redemptions/s of 256 callers ÷ redis-benchmark's at its best, pipelined",
    ),
    ("redis_latency_1", "median redemption of a lone caller ÷ the bare script's"),
    ("redis_wait_64", "redemptions/s with a replica waited for ÷ without one"),
    ("redis_cluster_spread", "scripts that the busiest primary runs ÷ the idlest's"),
    ("redis_bytes", "bytes of Redis' memory that an issued grant takes"),
    ("redis_growth", "a redemption among 10 million grants ÷ among 10 thousand"),
];
