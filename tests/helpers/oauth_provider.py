"""A small OAuth provider on a real TLS server: OpenID Connect with signed ID tokens, and the endpoints of GitHub,
GitLab, Okta and Google. It checks client, secret, redirect URI, PKCE, and that a code is used once, as real ones do."""

import base64
import hashlib
import ipaddress
import secrets
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import urlencode

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from flower.access.oauth.google import Google
from flower.access.oauth.provider import LoginAttempt, ProviderSettings, UserInfo
from tests.helpers.servers import free_port, wait_for

CLIENT, SECRET = "bellflower", "s3cret&=ü"


class LocalGoogle(Google):
    """Google with local endpoints, which no option can set."""

    base: ClassVar[str] = ""

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        self.authorize_endpoint, self.token_endpoint = f"{self.base}/v1/authorize", f"{self.base}/v1/token"
        self.userinfo_endpoint = f"{self.base}/v1/userinfo"


class Guest:
    """A provider that has only the two required methods."""

    def __init__(self, settings: ProviderSettings) -> None:
        self.settings = settings

    async def authorize_url(self, login: LoginAttempt) -> str:
        return f"https://door.example/?{urlencode({'state': login.state})}"

    async def authenticate(self, code: str, login: LoginAttempt) -> UserInfo:
        return UserInfo((f"{code}@example.com",), ("guests",))


class Unfinished:
    """A class without the methods of a provider."""


class LocalProvider:
    """The provider; `claims` are those of the user who is signed in."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.domain = f"localhost:{self.port}"
        self.issuer = f"https://{self.domain}"
        self.key = RSAKey.generate_key(2048, {"kid": "first"}, private=True)
        self.claims: dict[str, Any] = {"sub": "17", "email": "ann@example.com", "email_verified": True}
        self.id_claims: dict[str, Any] = {}
        self.emails: list[dict[str, Any]] = []
        self.emails_status = 200
        self.groups: list[str] = []
        self.group_queries: list[dict[str, str]] = []
        self.asked: dict[str, str] = {}
        self.sign_with = self.key
        self.certificate, key = _certificate(folder)
        self._codes: dict[str, dict[str, str]] = {}
        config = uvicorn.Config(
            self._app(), port=self.port, log_level="critical", lifespan="off", ssl_certfile=self.certificate,
            ssl_keyfile=key,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_for("the provider", lambda: self._server.started)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.should_exit = True
        self._thread.join(20)

    def _app(self) -> Starlette:
        ways = {
            "/.well-known/openid-configuration": self._describe,
            "/jwks": self._keys,
            "/v1/userinfo": self._userinfo,
            "/api/v3/user/emails": self._emails,
            "/api/v4/user": self._user,
            "/api/v4/groups": self._groups,
        }
        routes = [Route(path, endpoint) for path, endpoint in ways.items()]
        for prefix in ("/v1/authorize", "/oauth/authorize", "/login/oauth/authorize"):
            routes.append(Route(prefix, self._authorize))
        for prefix in ("/v1/token", "/oauth/token", "/login/oauth/access_token"):
            routes.append(Route(prefix, self._token, methods=["POST"]))
        return Starlette(routes=routes)

    async def _describe(self, request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/v1/authorize",
                "token_endpoint": f"{self.issuer}/v1/token",
                "userinfo_endpoint": f"{self.issuer}/v1/userinfo",
                "jwks_uri": f"{self.issuer}/jwks",
                "code_challenge_methods_supported": ["S256"],
            }
        )

    async def _keys(self, request: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def _authorize(self, request: Request) -> Response:
        """The user is signed in and consents at once."""
        asked = dict(request.query_params)
        assert asked["client_id"] == CLIENT
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        self.asked = asked
        code = secrets.token_urlsafe(8)
        self._codes[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    async def _token(self, request: Request) -> Response:
        form = dict(await request.form())
        asked = self._codes.pop(str(form["code"]), None)
        verifier = hashlib.sha256(str(form.get("code_verifier", "")).encode()).digest()
        right = asked is not None and {
            "client": (form["client_id"], form["client_secret"]) == (CLIENT, SECRET),
            "grant": form["grant_type"] == "authorization_code",
            "redirect": form["redirect_uri"] == asked["redirect_uri"],
            "pkce": base64.urlsafe_b64encode(verifier).rstrip(b"=").decode() == asked["code_challenge"],
        }
        if not right or not all(right.values()):
            return JSONResponse({"error": "invalid_grant", "error_description": f"wrong: {right}"}, 400)
        assert asked is not None
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "exp": now + 60, "iat": now, "nonce": asked.get("nonce"), "sub": "17",
            **self.id_claims,
        }  # fmt: skip
        algorithm = "RS256" if isinstance(self.sign_with, RSAKey) else "HS256"
        id_token = jwt.encode({"alg": algorithm, "kid": "first"}, claims, self.sign_with)
        return JSONResponse({"access_token": "at", "token_type": "Bearer", "expires_in": 60, "id_token": id_token})

    def _refusal(self, request: Request) -> Response | None:
        return None if request.headers.get("authorization") == "Bearer at" else Response("", 401)

    async def _userinfo(self, request: Request) -> Response:
        return self._refusal(request) or JSONResponse(self.claims)

    async def _emails(self, request: Request) -> Response:
        return self._refusal(request) or JSONResponse(self.emails, self.emails_status)

    async def _user(self, request: Request) -> Response:
        user = {"email": self.claims["email"], "confirmed_at": self.claims.get("confirmed_at", "2020-01-01")}
        return self._refusal(request) or JSONResponse(user)

    async def _groups(self, request: Request) -> Response:
        asked = dict(request.query_params)
        self.group_queries.append(asked)
        first = (int(asked["page"]) - 1) * int(asked["per_page"])
        shown = self.groups[first : first + int(asked["per_page"])]
        return self._refusal(request) or JSONResponse([{"full_path": path} for path in shown])


def _certificate(folder: Path) -> tuple[str, str]:
    """The files of a self-signed certificate for localhost and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "provider.pem", folder / "provider.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(files[0]), str(files[1])
