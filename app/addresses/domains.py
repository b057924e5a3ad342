"""What e-mail and SIP addresses have in common: the limits of domain names (RFC 1035). Pure, no I/O."""

DOMAIN_OCTETS_MAX = 253
LABEL_CHARACTERS_MAX = 63
