//! The built-in world: a seeded grammar of English that writes an endless corpus and knows the truth of every token.
