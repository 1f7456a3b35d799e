#!/usr/bin/env bash
# Makes an authority for the log's nodes, and a key and certificate for each of them:
#   certificates.sh FOLDER NODE…
# and in another folder an authority of its own for a key service and the nodes that ask it (docs/operations.md, "A key service").
# All nodes bear one common name, by which they know each other, and their own name as the alternative that clients check.
# The authority's key (FOLDER/authority.key) makes more of them: keep it somewhere else. What is there is not made again,
# so a node can be added, or one certificate deleted and made anew. They last two years; the authority ten.
set -euo pipefail
umask 077
if [ $# -lt 2 ]; then
	echo "usage: $0 FOLDER NODE…" >&2
	exit 2
fi
folder=$1
shift
quietly() { # openssl talks a lot when all is well
	local said
	said=$("$@" 2>&1) || { echo "$said" >&2; return 1; }
}
mkdir -p "$folder/ca"
if [ ! -e "$folder/authority.key" ]; then
	quietly openssl req -x509 -newkey rsa:3072 -sha256 -nodes -days 3650 -subj "/O=GridCase/CN=GridCase authority" \
		-addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign,cRLSign" \
		-keyout "$folder/authority.key" -out "$folder/ca/ca.crt"
	chmod 0755 "$folder" "$folder/ca"
	chmod 0644 "$folder/ca/ca.crt"
fi
for node in "$@"; do
	[ -e "$folder/$node.crt" ] && continue
	request=$(mktemp)
	quietly openssl req -newkey rsa:3072 -sha256 -nodes -subj "/CN=eventstoredb-node" -keyout "$folder/$node.key" -out "$request"
	quietly openssl x509 -req -in "$request" -sha256 -days 730 -CA "$folder/ca/ca.crt" -CAkey "$folder/authority.key" -set_serial "0x$(openssl rand -hex 15)" \
		-extfile <(printf '%s\n' "basicConstraints=critical,CA:FALSE" "keyUsage=critical,digitalSignature,keyEncipherment" \
			"extendedKeyUsage=serverAuth,clientAuth" "subjectAltName=DNS:$node,DNS:localhost,IP:127.0.0.1") \
		-out "$folder/$node.crt"
	rm "$request"
	chmod 0644 "$folder/$node.crt"
	echo "$folder/$node.crt"
done
