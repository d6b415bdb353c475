//! Which values are worth looking for: long enough, and of enough entropy that their appearance in a text means
//! something. The rules are those of the documentation's page on masking, "Values that are left out".

use super::Why;
use crate::mask::reason::holds_placeholder;

/// Shortest value that is looked for.
pub(super) const VALUE_BYTES_MIN: usize = 8;

/// Of which one is a number, a date, an address: shorter runs of digits and their separators.
const NUMBER_BYTES_MAX: usize = 40;

/// Words of a name, joined by a separator: `shop-postgres-primary`. A passphrase has as many or more.
const NAME_WORDS_MAX: usize = 2;

/// Shortest part of a word in camel case.
const HUMP_BYTES_MIN: usize = 2;

/// Letters that follow a letter in nine of ten words of English and of Kubernetes' own vocabulary: the 280 most frequent
/// pairs of 17,000 words. Nine of ten words have four fifths of their pairs here, one random string in twenty has.
const FOLLOWERS: [&[u8]; 26] = [
    b"bcdfghiklmnprstuvwy",
    b"aeilorsu",
    b"acehiklmoprstu",
    b"adeilorsu",
    b"abcdefgiklmnoprstuvwxy",
    b"aefilorstu",
    b"aehilnorsu",
    b"aeiortu",
    b"abcdefgklmnoprstvxz",
    b"aeo",
    b"aeiosu",
    b"acdefilostuy",
    b"abeimopsu",
    b"acdefgiklnostuvy",
    b"abcdefgiklmnoprstuvw",
    b"aehiloprstuy",
    b"u",
    b"abcdefgiklmnoprstuvy",
    b"acehiklmopstuy",
    b"acdefhilmoprstuy",
    b"abcdefgilmnprst",
    b"aeio",
    b"aeio",
    b"ept",
    b"anps",
    b"aei",
];

/// Why a value is not looked for, or `None` when it is. `name` is what its owner calls it: a key, a member.
pub(super) fn weakness(name: &str, value: &[u8]) -> Option<Why> {
    if value.len() < VALUE_BYTES_MIN {
        Some(Why::TooShort)
    } else if is_public(value) {
        Some(Why::Public)
    } else if std::str::from_utf8(value).is_ok_and(holds_placeholder) {
        Some(Why::Placeholder)
    } else if is_repetition(value) || is_run(value) || is_number(value) {
        Some(Why::TooPlain)
    } else if is_wordlike(value) && !(is_secret_name(name) && is_passphrase(value)) {
        Some(Why::Words)
    } else {
        None
    }
}

/// Whether a name says that what it names is secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    ["password", "passwd", "passphrase", "secret", "token", "credential", "apikey", "accesskey", "privatekey", "pwd"]
        .iter()
        .any(|word| name.contains(word))
        || ["pass", "auth", "key"].contains(&name.as_str())
}

/// Certificates and public keys are made to be shown; every namespace's `kube-root-ca.crt` holds one.
fn is_public(value: &[u8]) -> bool {
    let mut private = memchr::memmem::find_iter(value, b"PRIVATE KEY").take(1);
    let is_pem = value.starts_with(b"-----BEGIN CERTIFICATE") || value.starts_with(b"-----BEGIN PUBLIC KEY");
    let is_ssh =
        value.starts_with(b"ssh-rsa ") || value.starts_with(b"ssh-ed25519 ") || value.starts_with(b"ecdsa-sha2-");
    (is_pem && private.next().is_none()) || is_ssh
}

/// Under five different bytes, or the same one to four bytes over and over.
fn is_repetition(value: &[u8]) -> bool {
    let mut seen = [false; 256];
    for &byte in value {
        if let Some(seen) = seen.get_mut(usize::from(byte)) {
            *seen = true;
        }
    }
    let distinct = seen.iter().filter(|seen| **seen).count();
    distinct < 5 || (1..=4).any(|period| value.iter().zip(value.iter().skip(period)).all(|(a, b)| a == b))
}

/// `12345678`, `abcdefghij`, `87654321`.
fn is_run(value: &[u8]) -> bool {
    let follows = |step: i16| {
        let steps = value.iter().zip(value.iter().skip(1)).filter(|(a, b)| i16::from(**b) - i16::from(**a) == step);
        steps.count() * 10 >= (value.len() - 1) * 8
    };
    follows(1) || follows(-1)
}

/// Digits and what separates them: counters, versions, dates, addresses, time stamps.
fn is_number(value: &[u8]) -> bool {
    value.len() <= NUMBER_BYTES_MAX && value.iter().all(|byte| byte.is_ascii_digit() || b".:-+/, TZ".contains(byte))
}

/// Words, hosts, paths, addresses without credentials: letters that form words, with a few digits at the end of each.
pub(in crate::mask) fn is_wordlike(value: &[u8]) -> bool {
    let is_separator = |byte: &u8| b"-_./: ,@".contains(byte);
    if !value.iter().all(|byte| byte.is_ascii_alphanumeric() || is_separator(byte)) {
        return false;
    }
    value.split(is_separator).filter(|part| !part.is_empty()).all(is_word)
}

/// `postgres`, `Postgres`, `POSTGRES`, `node12`, `v1`, `5432`.
fn is_word(part: &[u8]) -> bool {
    let letters = part.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let (word, digits) = part.split_at(letters);
    if digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let is_plain = |word: &[u8]| word.len() <= 3 || has_word_pairs(word);
    if word.iter().all(u8::is_ascii_uppercase) {
        return is_plain(word);
    }
    let humps = humps(word);
    match humps.as_slice() {
        [word] => is_plain(word),
        humps => humps.iter().all(|hump| hump.len() >= HUMP_BYTES_MIN && has_word_pairs(hump)),
    }
}

/// The parts of `resourceVersion` and `ClusterIP`, of which each begins with a capital: several in a row begin one.
fn humps(word: &[u8]) -> Vec<&[u8]> {
    word.chunk_by(|one, next| one.is_ascii_uppercase() || !next.is_ascii_uppercase()).collect()
}

/// Whether four fifths of the pairs of letters are those of words.
fn has_word_pairs(word: &[u8]) -> bool {
    let is_usual = |first: u8, second: u8| {
        let row = usize::from(first.to_ascii_lowercase().wrapping_sub(b'a'));
        FOLLOWERS.get(row).is_some_and(|followers| followers.contains(&second.to_ascii_lowercase()))
    };
    let usual = word.iter().zip(word.iter().skip(1)).filter(|(first, second)| is_usual(**first, **second)).count();
    usual * 5 >= word.len().saturating_sub(1) * 4
}

/// Three words or more and nothing that makes a path, a host or an address of them.
fn is_passphrase(value: &[u8]) -> bool {
    let words = value.split(|byte| b"-_ ".contains(byte)).filter(|word| !word.is_empty());
    let words: usize = words.map(|word| humps(word).len()).sum();
    words > NAME_WORDS_MAX && !value.iter().any(|byte| b"./:@".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_nothing_in_a_text_is_left_out() {
        for (value, why) in [
            ("", Why::TooShort),
            ("1", Why::TooShort),
            ("true", Why::TooShort),
            ("hunter2", Why::TooShort),
            ("aaaaaaaaaaaa", Why::TooPlain),
            ("abcabcabcabc", Why::TooPlain),
            ("0000000000000001", Why::TooPlain),
            ("12345678", Why::TooPlain),
            ("abcdefghijkl", Why::TooPlain),
            ("2026-08-01T10:00:00Z", Why::TooPlain),
            ("10.96.0.1:5432", Why::TooPlain),
            ("1767225600123456789", Why::TooPlain),
            ("production", Why::Words),
            ("postgres", Why::Words),
            ("PRODUCTION", Why::Words),
            ("resourceVersion", Why::Words),
            ("ClusterIP", Why::Words),
            ("MutatingWebhook", Why::Words),
            ("managedFields", Why::Words),
            ("**masked by lockgate: secret**", Why::Placeholder),
            ("shop-postgres-0.shop.svc.cluster.local:5432", Why::Words),
            ("https://api.example.com/v1", Why::Words),
            ("/var/run/secrets/kubernetes.io/serviceaccount", Why::Words),
            ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", Why::Public),
        ] {
            assert_eq!(weakness("password", value.as_bytes()), Some(why), "{value}");
        }
    }

    #[test]
    fn what_looks_random_is_looked_for() {
        for value in [
            "hunter2!",
            "Tr0ub4dor&3",
            "k3jx92abq7",
            "f3b0c44298fc1c149afbf4c8996fb924",
            "xkqzjvwpmh",
            "aQzRtYxWvB",
            "kdUwLqXnTa",
            "postgres://app:s3cr3t@db/shop",
            "{\"a\": \"b c d\"}",
            "\x00\x01\x02\x03\x04\x05\x17\x27",
        ] {
            assert_eq!(weakness("value", value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn a_passphrase_counts_only_where_its_name_says_so() {
        let value = b"correct-horse-battery-staple";
        assert_eq!(weakness("db-password", value), None);
        assert_eq!(weakness("db-password", b"CorrectHorseBatteryStaple"), None);
        assert_eq!(weakness("service", b"CorrectHorseBatteryStaple"), Some(Why::Words));
        assert_eq!(weakness("service", value), Some(Why::Words));
        assert_eq!(weakness("db-password", b"shop-postgres.shop.svc"), Some(Why::Words));
    }
}
