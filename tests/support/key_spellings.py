"""Ways in which people paste a private key, right and wrong, and what must never be shown of it."""

from __future__ import annotations

import base64
import hashlib
import json
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric import ec

from sluicegate.attest.keys import Signer


def fixed_key(name: str = "canary") -> Signer:
    """A P-256 key that is the same in every run; of no other use."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()) >> 1
    return Signer(ec.derive_private_key(number, ec.SECP256R1()))


def accepted(pem: str) -> dict[str, str]:
    """Spellings that hold exactly one private key."""
    body = "".join(line for line in pem.splitlines() if "-----" not in line)
    der = base64.b64decode(body)
    whole = base64.b64encode(pem.encode()).decode()
    return {
        "PEM": pem,
        "line ends of Windows": pem.replace("\n", "\r\n"),
        "escaped line ends": pem.replace("\n", "\\n"),
        "escaped twice": pem.replace("\n", "\\\\n"),
        "one line with spaces": pem.replace("\n", " "),
        "one line without spaces": pem.replace("\n", ""),
        "double quotes": f'"{pem}"',
        "single quotes, escaped": "'" + pem.replace("\n", "\\n") + "'",
        "byte order mark": "\ufeff" + pem,
        "indented in YAML": "key: |\n" + "".join(f"    {x}\n" for x in pem.splitlines()),
        "bag attributes": f"Bag Attributes\n    localKeyID: 01 \nKey Attributes: <none>\n{pem}",
        "text after it": pem + "# do not lose\n",
        "bytes of Python": repr(pem.encode()),
        "JSON object": json.dumps({"key": pem}),
        "JSON string": json.dumps(pem),
        "base64 of PEM": whole,
        "base64 of PEM, wrapped": "\n".join(whole[i : i + 76] for i in range(0, len(whole), 76)),
        "base64 of base64": base64.b64encode(whole.encode()).decode(),
        "base64 of DER": body,
        "base64 of DER, wrapped": "\n".join(body[i : i + 64] for i in range(0, len(body), 64)),
        "base64 for URLs, unpadded": base64.urlsafe_b64encode(der).decode().rstrip("="),
        "base64 in quotes": f'"{body}"',
    }


def refused(pem: str) -> dict[str, str]:
    """Spellings that are no key, or a key behind something that is no place of one."""
    body = "".join(line for line in pem.splitlines() if "-----" not in line)
    lines = pem.splitlines()
    der = base64.b64decode(body)
    slashed = "/" + "/".join(body[i : i + 23] for i in range(0, len(body), 23))
    return {
        "no END": "\n".join(lines[:-1]),
        "END misspelt": pem.replace("END", "EMD"),
        "four dashes": pem.replace("-----", "----"),
        "lower case": pem.lower(),
        "half": pem[: len(pem) // 2],
        "twice": pem + pem,
        "called a public key": pem.replace("PRIVATE", "PUBLIC"),
        "body in the wrong alphabet": pem.replace(body[10:14], "!@%^"),
        "first line": lines[1],
        "second line": lines[2],
        "hexadecimal": der.hex(),
        "hexadecimal, capitals": "0x" + der.hex().upper(),
        "hexadecimal, colons": der.hex(":"),
        "base32": base64.b32encode(der).decode(),
        "base85": base64.b85encode(der).decode(),
        "JSON list of base64": json.dumps([body]),
        "JSON object of base64": json.dumps({"private_key": body}),
        "JWK": json.dumps({"kty": "EC", "d": base64.urlsafe_b64encode(der[36:68]).decode()}),
        "percent-encoded": quote(pem, safe=""),
        "HTML line ends": pem.replace("\n", "&#10;").replace("-", "&#45;"),
        "assignment of a shell": f"export SLUICEGATE_KEY={body}",
        "as a data URI": f"data:application/pem;base64,{body}",
        "behind file:": f"file:{body}",
        "behind file:, absolute": f"file:/{body}",
        "behind env:": f"env:{body}",
        "behind env:, hexadecimal": f"env:A{der.hex()}",
        "behind env:, capitals": f"env:{base64.b32encode(der).decode().rstrip('=')}",
        "behind airflow-connection:": f"airflow-connection:{body}",
        "behind airflow-variable:": f"airflow-variable:{body}",
        "behind hsm:": f"hsm:{body}",
        "behind hsm:, as its PIN": f"hsm:01?label=gate&pin-value={body}",
        "behind awskms:": f"awskms:{body}",
        "behind an unknown scheme": f"vault:{body}",
        "as an absolute path": f"/{body}",
        "as a path of many parts": slashed,
        "as a relative path": f"./{body}",
        "as a path of home": f"~/{body}",
        "as a file name": f"{body}.pem",
        "as a public key's file": f"hsm:01#{body}",
        "as the password of a URL": f"https://user:{body}@example.com/key.pem",
        "as the password of a database": f"postgresql://u:{quote(body, safe='')}@db/x",
        "as a query": f"https://example.com/key.pem?token={body}",
        "in a list": f"a.pem,{body}",
        "in capitals, FILE:": f"FILE:{body}",
        "seed": base64.b64encode(der[36:68]).decode(),
        "seed, hexadecimal": der[36:68].hex(),
        "seed behind env:": f"env:{base64.urlsafe_b64encode(der[36:68]).decode().rstrip('=')}",
    }


class Canary:
    """A key, and every piece of 8 characters of it that must be seen nowhere.

    Pieces that every key has, such as the name of the curve, are no secret and not among them.
    """

    def __init__(self) -> None:
        self.signer = fixed_key()
        self.pem = self.signer.private_pem().decode()
        others = [_texts(fixed_key(str(n)).private_pem().decode()) for n in range(64)]
        alike = zip(_texts(self.pem), *others, strict=True)
        self.pieces = set().union(*(_pieces(text, same) for text, *same in alike))

    def seen_in(self, text: str) -> set[str]:
        """Return the pieces of the key that a text holds; empty is what everybody wants."""
        return _windows(text.lower()) & self.pieces


def _texts(pem: str) -> list[str]:
    """Return the ways to write a key; the same of another key has the same length."""
    body = "".join(line for line in pem.splitlines() if "-----" not in line)
    whole = base64.b64encode(pem.encode())
    der = base64.b64decode(body)
    texts = [der.hex(":"), base64.b85encode(der).decode(), base64.b64encode(whole).decode()]
    for raw in (der, der[36:68], pem.encode()):
        texts += [raw.hex(), base64.b64encode(raw).decode(), base64.b32encode(raw).decode()]
        texts.append(base64.urlsafe_b64encode(raw).decode())
    return [text.lower() for text in texts]


def _pieces(text: str, others: list[str]) -> set[str]:
    """Return the pieces of which at least six characters are this key's and not every key's.

    A piece with fewer would be found in the next key that somebody makes.
    """
    own = [len(set(column)) > 4 for column in zip(text, *others, strict=True)]
    return {text[i : i + 8] for i in range(len(text) - 7) if sum(own[i : i + 8]) >= 6}


def _windows(text: str) -> set[str]:
    return {text[i : i + 8] for i in range(len(text) - 7)}
