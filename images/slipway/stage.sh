#!/bin/sh
# Lays out what the image holds above Debian: /opt/slipway and the command. Run in a folder that was built and has
# its production dependencies, among them the pinned Node.
set -eu
stage=$1
mkdir -p "$stage/opt/slipway" "$stage/usr/local/bin" "$stage/var/lib/slipway"
cp -R package.json bin dist crds node_modules "$stage/opt/slipway/"
mkdir -p "$stage/opt/slipway/schemas"
cp -R schemas/json "$stage/opt/slipway/schemas/"
# What only compilers, debuggers and npm read: two thirds of the files, each of which a node has to unpack.
modules="$stage/opt/slipway/node_modules"
find "$modules" -type f \( -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.map' \) -delete
rm -rf "$modules"/@types "$modules"/openai/src "$modules"/node-linux-*/include "$modules"/node-linux-*/lib \
  "$modules"/node-linux-*/share
cat > "$stage/usr/local/bin/slipway" <<'SLIPWAY'
#!/bin/sh
exec /opt/slipway/node_modules/.bin/node /opt/slipway/bin/slipway.js "$@"
SLIPWAY
chmod 0755 "$stage/usr/local/bin/slipway"
chown -R 65532:65532 "$stage/var/lib/slipway"
