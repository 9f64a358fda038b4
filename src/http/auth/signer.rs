//! Methods that make their proof anew for each request, behind one face: sign, and for Digest hear what came back.

use super::aws_sigv4::AwsSigner;
use super::digest::{Challenged, DigestSigner};
use super::jwt::JwtSigner;
use super::oauth1::Oauth1Signer;
use super::wsse::WsseSigner;
use super::{Credential, Heard, Hearing, Made, Moment, Proof};
use crate::http::transport::WireRequest;
use crate::value::secret::Secret;

/// A method with its rendered settings and what it remembers.
pub(in crate::http) struct Signer(Kind);

enum Kind {
    Digest(DigestSigner),
    Wsse(WsseSigner),
    Jwt(JwtSigner),
    AwsSigv4(AwsSigner),
    Oauth1(Oauth1Signer),
}

impl Signer {
    /// A signer with what must not be shown because of it.
    pub(super) fn proof<S: Into<Self>>((signer, secrets): (S, Vec<Secret>)) -> Proof {
        Proof { credential: Credential::Signed(Box::new(signer.into())), secrets }
    }

    pub(super) fn sign(&self, request: &mut WireRequest, moment: &Moment<'_>) -> Result<Made, String> {
        let secrets = match &self.0 {
            Kind::Digest(digest) => return digest.sign(request, moment),
            Kind::Wsse(wsse) => wsse.sign(request, moment)?,
            Kind::Jwt(jwt) => jwt.sign(request, moment)?,
            Kind::AwsSigv4(aws) => aws.sign(request, moment)?,
            Kind::Oauth1(oauth) => oauth.sign(request, moment)?,
        };
        Ok(Made { secrets, mark: 0 })
    }

    pub(super) fn hear(&self, heard: &Heard<'_>) -> Hearing {
        let Kind::Digest(digest) = &self.0 else { return Hearing::Judge };
        if heard.status != 401 {
            // An error may have come before anybody looked at the credential.
            if heard.status < 400 {
                digest.accepted(heard.url, heard.headers, heard.mark);
            }
            return Hearing::Judge;
        }
        match digest.challenged(heard.url, heard.headers, heard.mark) {
            Challenged::Again => Hearing::Resend,
            Challenged::Refused(why) => Hearing::Explain(why),
        }
    }
}

macro_rules! from {
    ($($variant:ident($signer:ty)),+ $(,)?) => {
        $(impl From<$signer> for Signer {
            fn from(signer: $signer) -> Self {
                Self(Kind::$variant(signer))
            }
        })+
    };
}

from!(Digest(DigestSigner), Wsse(WsseSigner), Jwt(JwtSigner), AwsSigv4(AwsSigner), Oauth1(Oauth1Signer));
