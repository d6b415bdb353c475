//! Protobuf's wire format (<https://protobuf.dev/programming-guides/encoding/>): tags, varints, lengths.

/// The value of one field on the wire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
}

/// Why bytes are no protobuf, or no protobuf that Kubernetes writes.
pub(super) type Fault = &'static str;

/// Takes the next field off `bytes`; `None` at the end.
pub(super) fn next_field<'a>(bytes: &mut &'a [u8]) -> Result<Option<(u32, Wire<'a>)>, Fault> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let tag = varint(bytes)?;
    let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0).ok_or("an illegal field number")?;
    let value = match tag & 7 {
        0 => Wire::Varint(varint(bytes)?),
        1 => {
            let (value, rest) = bytes.split_first_chunk::<8>().ok_or(TRUNCATED)?;
            *bytes = rest;
            Wire::Fixed64(u64::from_le_bytes(*value))
        }
        2 => {
            let length = usize::try_from(varint(bytes)?).map_err(|_| TRUNCATED)?;
            let (value, rest) = bytes.split_at_checked(length).ok_or(TRUNCATED)?;
            *bytes = rest;
            Wire::Bytes(value)
        }
        _ => return Err("a wire type that Kubernetes does not use"),
    };
    Ok(Some((number, value)))
}

const TRUNCATED: Fault = "it ends too early";

/// Takes one varint off `bytes`.
pub(super) fn varint(bytes: &mut &[u8]) -> Result<u64, Fault> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(TRUNCATED)?;
        *bytes = rest;
        if shift == 63 && *byte > 1 {
            return Err("a number of more than 64 bits");
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number of more than 64 bits")
}
