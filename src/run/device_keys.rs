//! Device keys for `POST /keys/upload` (Client-Server API, "Device keys"), signed by a key pair that
//! is made for them and kept nowhere.
use crate::accounts::random::{NoRandomSource, random_bytes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

/// The public part of a real pair. No case uses the key, so it is the same for all devices.
const CURVE25519: &str = "vT5rvaUk/QmEMe2lMKNyB6ksttEDE/DHP8Rp9PHCwb4";

/// Why there are no keys.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub enum NoKeys {
    #[error(transparent)]
    NoRandomSource(#[from] NoRandomSource),
    #[error("no key pair can be made of random numbers")]
    Rejected,
}

/// The object `device_keys` of a device with a valid signature.
pub fn signed(user: &str, device: &str) -> Result<Value, NoKeys> {
    let pair = Ed25519KeyPair::from_seed_unchecked(&random_bytes::<32>()?);
    let pair = pair.map_err(|_| NoKeys::Rejected)?;
    let (curve_id, ed_id) = (format!("curve25519:{device}"), format!("ed25519:{device}"));
    // Members in this order are the canonical JSON that is signed (Appendices, "Canonical JSON").
    let mut keys = json!({
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "device_id": device,
        "keys": {
            (curve_id): CURVE25519,
            (ed_id.as_str()): STANDARD_NO_PAD.encode(pair.public_key().as_ref()),
        },
        "user_id": user,
    });
    let signature = STANDARD_NO_PAD.encode(pair.sign(keys.to_string().as_bytes()).as_ref());
    if let Value::Object(members) = &mut keys {
        members.insert("signatures".to_owned(), json!({ (user): { (ed_id): signature } }));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ED25519, UnparsedPublicKey};

    #[test]
    fn the_signature_is_that_of_the_object_without_it() {
        let keys = signed("@al:hs.example", "Dev\"ice").unwrap();
        let part = |pointer: &str| {
            let text = keys.pointer(pointer).and_then(Value::as_str).unwrap();
            STANDARD_NO_PAD.decode(text).unwrap()
        };
        let public = part("/keys/ed25519:Dev\"ice");
        let signature = part("/signatures/@al:hs.example/ed25519:Dev\"ice");
        let signed = format!(
            r#"{{"algorithms":["m.olm.v1.curve25519-aes-sha2","m.megolm.v1.aes-sha2"],"device_id":"Dev\"ice","keys":{{"curve25519:Dev\"ice":"{CURVE25519}","ed25519:Dev\"ice":"{}"}},"user_id":"@al:hs.example"}}"#,
            STANDARD_NO_PAD.encode(&public),
        );
        let key = UnparsedPublicKey::new(&ED25519, public);
        assert!(key.verify(signed.as_bytes(), &signature).is_ok());
        assert_eq!(part("/keys/curve25519:Dev\"ice").len(), 32);
    }
}
