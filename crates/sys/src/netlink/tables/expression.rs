//! The steps of a rule of nf_tables, as the kernel reads them.
//!
//! Numbers are in network byte order, registers are those of 32 bits: [`KEY`] and what follows it hold what is looked up,
//! [`FIRST`] everything else.

use super::super::message::Request;

/// `NFT_REG_VERDICT`.
const VERDICT: u32 = 0;
/// `NFT_REG32_00`.
pub(super) const FIRST: u32 = 8;
/// Where a concatenated key begins: up to ten registers.
pub(super) const KEY: u32 = 13;

/// `NFTA_LIST_ELEM`, `NFTA_EXPR_NAME`, `NFTA_EXPR_DATA`.
pub(super) const ELEMENT: u16 = 1;
const NAME: u16 = 1;
const BODY: u16 = 2;
/// `NFTA_DATA_VALUE`, `NFTA_DATA_VERDICT`.
pub(super) const VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;

/// `NF_DROP`, `NF_ACCEPT`, `NFT_JUMP`.
const DROP: i32 = 0;
const ACCEPT: i32 = 1;
const JUMP: i32 = -3;

/// What a piece of a packet is counted from: `NFT_PAYLOAD_*_HEADER`.
#[derive(Clone, Copy)]
pub(super) enum Base {
    Link = 0,
    Network = 1,
    Transport = 2,
}

/// What is known of a packet beside its bytes: `NFT_META_*`.
#[derive(Clone, Copy)]
pub(super) enum Meta {
    Protocol = 1,
    OutInterface = 5,
    Transport = 16,
}

/// A number in network byte order.
pub(super) fn number(request: &mut Request, kind: u16, value: u32) {
    request.attribute(kind, &value.to_be_bytes());
}

/// The steps of a rule under construction.
pub(super) struct Steps<'a>(pub(super) &'a mut Request);

impl Steps<'_> {
    fn step(&mut self, name: &str, fill: impl FnOnce(&mut Request)) -> &mut Self {
        self.0.nested(ELEMENT, |element| {
            element.text(NAME, name).nested(BODY, fill);
        });
        self
    }

    /// Goes on only when what is known of the packet is this.
    pub(super) fn meta_is(&mut self, what: Meta, value: &[u8]) -> &mut Self {
        self.step("meta", |body| {
            number(body, 1, FIRST);
            number(body, 2, what as u32);
        });
        self.is(FIRST, value)
    }

    /// Goes on only when these bytes of the packet are so.
    pub(super) fn bytes_are(&mut self, base: Base, offset: u32, value: &[u8]) -> &mut Self {
        self.load(base, offset, u32::try_from(value.len()).unwrap_or(0), FIRST).is(FIRST, value)
    }

    fn is(&mut self, register: u32, value: &[u8]) -> &mut Self {
        self.step("cmp", |body| {
            number(body, 1, register);
            number(body, 2, 0);
            body.nested(3, |data| {
                data.attribute(VALUE, value);
            });
        })
    }

    /// Puts bytes of the packet into a register.
    pub(super) fn load(&mut self, base: Base, offset: u32, length: u32, register: u32) -> &mut Self {
        self.step("payload", |body| {
            number(body, 1, register);
            number(body, 2, base as u32);
            number(body, 3, offset);
            number(body, 4, length);
        })
    }

    /// Writes a register into the packet, without any checksum.
    pub(super) fn store(&mut self, base: Base, offset: u32, length: u32, register: u32) -> &mut Self {
        self.step("payload", |body| {
            number(body, 5, register);
            number(body, 2, base as u32);
            number(body, 3, offset);
            number(body, 4, length);
            number(body, 6, 0);
            number(body, 7, 0);
        })
    }

    /// Goes on only when this byte has these of the bits of the mask.
    pub(super) fn bits_are(&mut self, base: Base, offset: u32, mask: u8, value: u8) -> &mut Self {
        self.load(base, offset, 1, FIRST).step("bitwise", |body| {
            number(body, 1, FIRST);
            number(body, 2, FIRST);
            number(body, 3, 1);
            for (kind, byte) in [(4, mask), (5, 0)] {
                body.nested(kind, |data| {
                    data.attribute(VALUE, &[byte]);
                });
            }
        });
        self.is(FIRST, &[value])
    }

    /// Goes on only when the set has the key.
    pub(super) fn is_in(&mut self, set: &str, register: u32) -> &mut Self {
        self.step("lookup", |body| {
            body.text(1, set);
            number(body, 2, register);
        })
    }

    /// Adds the key to the set.
    pub(super) fn add_to(&mut self, set: &str, register: u32) -> &mut Self {
        self.step("dynset", |body| {
            body.text(1, set);
            number(body, 3, 0);
            number(body, 4, register);
        })
    }

    /// Puts a constant into a register.
    pub(super) fn set(&mut self, register: u32, value: &[u8]) -> &mut Self {
        self.step("immediate", |body| {
            number(body, 1, register);
            body.nested(2, |data| {
                data.attribute(VALUE, value);
            });
        })
    }

    /// Sends the packet to a neighbour on an interface; nobody else sees it. `family` is `NFPROTO_IPV4` or `_IPV6`.
    pub(super) fn forward(&mut self, family: u32, index: u32, neighbour: &[u8]) {
        let (device, address) = (FIRST, FIRST + 1);
        self.set(device, &index.to_ne_bytes()).set(address, neighbour).step("fwd", |body| {
            number(body, 1, device);
            number(body, 2, address);
            number(body, 3, family);
        });
    }

    pub(super) fn accept(&mut self) {
        self.decide(ACCEPT, None);
    }

    pub(super) fn drop(&mut self) {
        self.decide(DROP, None);
    }

    pub(super) fn jump(&mut self, chain: &str) {
        self.decide(JUMP, Some(chain));
    }

    fn decide(&mut self, code: i32, chain: Option<&str>) {
        self.step("immediate", |body| {
            number(body, 1, VERDICT);
            body.nested(2, |data| {
                data.nested(DATA_VERDICT, |verdict| {
                    number(verdict, VERDICT_CODE, code.cast_unsigned());
                    if let Some(chain) = chain {
                        verdict.text(VERDICT_CHAIN, chain);
                    }
                });
            });
        });
    }
}
