//! The bytes of an HTTP/1.1 connection. However they arrive the same heads pass, and what passes is what arrived.

use lockgate_wire::http1::{HeadLimits, Inspector, Passed};

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 4096, headers_max: 20 };

/// The first byte says how small the pieces are; the rest is the connection.
pub fn run(data: &[u8]) {
    let Some((size, bytes)) = data.split_first() else { return };
    let whole = passed(std::iter::once(bytes));
    let split = passed(bytes.chunks(usize::from(*size).max(1)));
    assert_eq!(whole.refused, split.refused, "a refusal depends on how the bytes arrive");
    assert_eq!(whole.heads, split.heads, "the heads depend on how the bytes arrive");
    assert!(bytes.starts_with(&split.bytes), "what passed is not what arrived");
    for head in &split.heads {
        assert!(head.ends_with(b"\r\n\r\n"), "a head passed that is not whole");
        let lines: Vec<&[u8]> = head.split(|byte| *byte == b'\n').collect();
        let (last, lines) = lines.split_last().expect("a line");
        assert!(last.is_empty() && lines.iter().all(|line| line.ends_with(b"\r")), "a bare line feed passed");
        let target = lines.first().and_then(|line| line.split(|byte| *byte == b' ').nth(1)).unwrap_or_default();
        assert!(target.starts_with(b"/") && !target.contains(&b'#'), "a target in another form passed");
        assert!(!head.contains(&0), "NUL passed");
        let names: Vec<Vec<u8>> = lines
            .iter()
            .skip(1)
            .filter_map(|line| line.split(|byte| *byte == b':').next())
            .map(<[u8]>::to_ascii_lowercase)
            .collect();
        let count = |name: &[u8]| names.iter().filter(|other| other.as_slice() == name).count();
        assert!(count(b"content-length") + count(b"transfer-encoding") <= 1, "two lengths passed");
        assert!(count(b"host") <= 1, "two hosts passed");
    }
}

struct Connection {
    heads: Vec<Vec<u8>>,
    bytes: Vec<u8>,
    refused: bool,
}

fn passed<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> Connection {
    let mut inspector = Inspector::new(LIMITS);
    let mut connection = Connection { heads: Vec::new(), bytes: Vec::new(), refused: false };
    for mut piece in pieces {
        while !piece.is_empty() {
            let taken = match inspector.push(piece) {
                Ok(Passed::Held) => piece.len(),
                Ok(Passed::Head(taken)) => {
                    let mut head = Vec::new();
                    inspector.swap_head(&mut head);
                    connection.bytes.extend_from_slice(&head);
                    connection.heads.push(head);
                    taken
                }
                Ok(Passed::Body(taken)) => {
                    assert!(taken > 0, "no progress");
                    connection.bytes.extend_from_slice(piece.get(..taken).expect("within the piece"));
                    taken
                }
                Ok(Passed::Switching) => return connection,
                Err(error) => {
                    assert!((400..500).contains(&error.status().code()));
                    connection.refused = true;
                    return connection;
                }
            };
            piece = piece.get(taken..).expect("within the piece");
        }
    }
    connection
}
