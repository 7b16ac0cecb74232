#!/bin/sh
# Makes every PEM file of this folder anew: `sh tests/tls/make.sh` (OpenSSL 3.0 or later).
# All dates are fixed, so that nothing expires while the tests are of use to anybody.
set -eu
cd "$(dirname "$0")"
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

FROM=20200101000000Z
UNTIL=21000101000000Z

cat >"$work/ca.cnf" <<EOF
[ca]
default_ca = default
[default]
database = $work/index.txt
new_certs_dir = $work
rand_serial = yes
unique_subject = no
default_md = sha256
policy = policy
x509_extensions = root
[policy]
organizationName = supplied
commonName = supplied
[req]
distinguished_name = name
prompt = no
[name]
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[localhost]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[other]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:other.example.test
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectAltName = DNS:client.example.test
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
EOF
: >"$work/index.txt"

# key NAME: an ECDSA P-256 key as PKCS#8.
key() {
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"
  chmod 644 "$1.key"
}

# root NAME COMMON_NAME: a self-signed authority.
root() {
  key "$1"
  openssl req -new -config "$work/ca.cnf" -key "$1.key" -subj "/O=http-client tests/CN=$2" \
    -out "$work/$1.csr"
  openssl ca -batch -notext -config "$work/ca.cnf" -selfsign -keyfile "$1.key" -in "$work/$1.csr" \
    -extensions root -startdate "$FROM" -enddate "$UNTIL" -out "$1.pem"
}

# leaf NAME COMMON_NAME SECTION ISSUER [FROM UNTIL]: a certificate signed by ISSUER.
leaf() {
  key "$1"
  openssl req -new -config "$work/ca.cnf" -key "$1.key" -subj "/O=http-client tests/CN=$2" \
    -out "$work/$1.csr"
  openssl ca -batch -notext -config "$work/ca.cnf" -cert "$4.pem" -keyfile "$4.key" \
    -in "$work/$1.csr" -extensions "$3" -startdate "${5:-$FROM}" -enddate "${6:-$UNTIL}" \
    -out "$1.pem"
}

root ca "http-client test CA"
root unknown_ca "http-client unknown CA"
leaf localhost localhost localhost ca
leaf wrong_name other.example.test other ca
leaf expired localhost localhost ca 20010101000000Z 20020101000000Z
leaf unknown_issuer localhost localhost unknown_ca
leaf client "http-client test client" client ca
leaf unknown_client "http-client unknown client" client unknown_ca

# The authorities' keys are not kept: nothing can be signed by them later.
rm -f ca.key unknown_ca.key
