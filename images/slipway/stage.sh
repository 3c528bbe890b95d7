#!/bin/sh
# Lays out what the image holds above Debian: /opt/slipway and the command. Run in a folder that was built and has
# its production dependencies, among them the pinned Node.
set -eu
stage=$1
mkdir -p "$stage/opt/slipway" "$stage/usr/local/bin" "$stage/var/lib/slipway"
cp -R package.json bin dist crds node_modules "$stage/opt/slipway/"
mkdir -p "$stage/opt/slipway/schemas"
cp -R schemas/json "$stage/opt/slipway/schemas/"
# What only compilers and debuggers read, two thirds of the files, each of which a node has to unpack: Node runs no
# TypeScript in node_modules.
find "$stage/opt/slipway/node_modules" -type f \
  \( -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.map' \) -delete
rm -rf "$stage"/opt/slipway/node_modules/node-linux-*/include
cat > "$stage/usr/local/bin/slipway" <<'SLIPWAY'
#!/bin/sh
exec /opt/slipway/node_modules/.bin/node /opt/slipway/bin/slipway.js "$@"
SLIPWAY
chmod 0755 "$stage/usr/local/bin/slipway"
chown -R 65532:65532 "$stage/var/lib/slipway"
