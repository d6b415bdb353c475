//! From `Authorization` headers to the one token in them (RFC 6750, section 2.1).

use crate::TOKEN_BYTES_MAX;
use crate::error::AuthError;

/// The token, borrowed from the header. Exactly one header, the scheme in any case, one or more spaces, a token, the end.
pub(crate) fn token<'h>(headers: &[&'h [u8]]) -> Result<&'h str, AuthError> {
    let header = match headers {
        [] => return Err(AuthError::Missing),
        [header] => *header,
        _ => return Err(AuthError::Duplicate),
    };
    let scheme_end = header.iter().position(|byte| *byte == b' ').ok_or(AuthError::MalformedHeader)?;
    let (scheme, rest) = header.split_at_checked(scheme_end).ok_or(AuthError::MalformedHeader)?;
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(AuthError::MalformedHeader);
    }
    let token = rest.trim_ascii();
    if token.len() > TOKEN_BYTES_MAX {
        return Err(AuthError::TooLarge { limit_bytes: TOKEN_BYTES_MAX });
    }
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if token.is_empty() || !token.iter().all(legal) {
        return Err(AuthError::MalformedHeader);
    }
    std::str::from_utf8(token).map_err(|_| AuthError::MalformedHeader)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c14_the_scheme_is_case_insensitive_and_everything_else_is_refused() {
        for good in ["Bearer a.b.c", "bearer a.b.c", "BEARER a.b.c", "Bearer  a.b.c", "bEaReR a.b.c "] {
            assert_eq!(token(&[good.as_bytes()]), Ok("a.b.c"), "{good}");
        }
        let wrong = ["", "Bearer", "Bearer ", "Bearer  ", "Bearera.b.c", "Bearer a b", "Bearer a.b.c,", "Basic YTpi"];
        for wrong in wrong.into_iter().chain(["Bearer a.b.c extra", " Bearer a.b.c", "Bearer\ta.b.c", "Bearer é"]) {
            assert_eq!(token(&[wrong.as_bytes()]), Err(AuthError::MalformedHeader), "{wrong}");
        }
        assert_eq!(token(&[]), Err(AuthError::Missing));
        assert_eq!(token(&[b"Bearer a.b.c", b"Bearer a.b.c"]), Err(AuthError::Duplicate));
        let long = format!("Bearer {}", "a".repeat(TOKEN_BYTES_MAX + 1));
        assert_eq!(token(&[long.as_bytes()]), Err(AuthError::TooLarge { limit_bytes: TOKEN_BYTES_MAX }));
    }
}
