//! Does the name of a value say that the value is secret? For the profile `balanced`, which believes names.

/// Words that say it by themselves.
const SECRET_WORDS: [&str; 27] = [
    "apikey",
    "auth",
    "authorization",
    "bearer",
    "connectionstring",
    "cookie",
    "credential",
    "credentials",
    "creds",
    "dsn",
    "htpasswd",
    "jaas",
    "keystore",
    "netrc",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "passwords",
    "pin",
    "pwd",
    "sas",
    "secret",
    "secrets",
    "token",
    "tokens",
    "webhook",
];

/// Endings of words run together, such as `dbpassword` or `clientsecret`.
const SECRET_ENDINGS: [&str; 10] =
    ["apikey", "credentials", "passphrase", "passwd", "password", "privatekey", "pwd", "secret", "secretkey", "token"];

/// Two words in a row.
const SECRET_PAIRS: [(&str, &str); 12] = [
    ("access", "key"),
    ("account", "key"),
    ("api", "key"),
    ("connection", "string"),
    ("database", "url"),
    ("encryption", "key"),
    ("license", "key"),
    ("master", "key"),
    ("private", "key"),
    ("shared", "key"),
    ("signing", "key"),
    ("ssh", "key"),
];

/// A name that ends so tells about a secret and is none: `PASSWORD_FILE`, `secretName`, `tokenTTL`.
const HARMLESS_ENDINGS: [&str; 16] = [
    "class",
    "count",
    "dir",
    "enabled",
    "expiration",
    "expiry",
    "file",
    "length",
    "name",
    "path",
    "policy",
    "ref",
    "seconds",
    "timeout",
    "ttl",
    "type",
];

/// Whether a value of this name is to be masked.
pub(super) fn is_secret(name: &str) -> bool {
    let words = words(name);
    let harmless = words.len() > 1 && words.last().is_some_and(|last| HARMLESS_ENDINGS.contains(&last.as_str()));
    if harmless {
        return false;
    }
    let by_word = words.iter().any(|word| {
        SECRET_WORDS.contains(&word.as_str()) || SECRET_ENDINGS.iter().any(|ending| word.ends_with(ending))
    });
    let by_pair = words.windows(2).any(|pair| match pair {
        [first, second] => SECRET_PAIRS.contains(&(first, second)),
        _ => false,
    });
    by_word || by_pair
}

/// The words of `DB_PASSWORD`, `dbPassword`, `db-password`, `DBPassword`, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut previous = Shape::Other;
    let mut characters = name.chars().peekable();
    while let Some(character) = characters.next() {
        let shape = Shape::of(character);
        let next_is_lower = characters.peek().is_some_and(|next| next.is_lowercase());
        let begins = match (previous, shape) {
            (_, Shape::Other) | (Shape::Lower, Shape::Upper) => true,
            (Shape::Upper, Shape::Upper) => next_is_lower,
            _ => false,
        };
        if begins && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if shape != Shape::Other {
            word.extend(character.to_lowercase());
        }
        previous = shape;
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Upper,
    Lower,
    Other,
}

impl Shape {
    fn of(character: char) -> Self {
        if character.is_uppercase() {
            Self::Upper
        } else if character.is_alphabetic() {
            Self::Lower
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets() {
        for name in [
            "password",
            "PASSWORD",
            "DB_PASSWORD",
            "dbPassword",
            "DBPassword",
            "mysql-root-password",
            "dbpassword",
            "AWS_SECRET_ACCESS_KEY",
            "aws_access_key_id",
            "GITHUB_TOKEN",
            "apiKey",
            "API_KEY",
            "x-api-key",
            "clientSecret",
            "Authorization",
            "Set-Cookie",
            "private.key",
            "DATABASE_URL",
            "SENTRY_DSN",
            "spring.datasource.password",
            ".dockerconfigjson-auth",
            "password1",
            "pass_2",
        ] {
            assert!(is_secret(name), "{name}");
        }
    }

    #[test]
    fn names_of_other_things() {
        for name in [
            "",
            "LOG_LEVEL",
            "HOME",
            "PATH",
            "user",
            "keyboard",
            "author",
            "compass",
            "DB_PASSWORD_FILE",
            "secretName",
            "tokenTTL",
            "passwordPolicy",
            "Accept",
            "key",
            "public_key",
            "bypass",
            "monkey",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
