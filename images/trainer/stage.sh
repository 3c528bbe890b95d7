#!/bin/sh
# Lays out an image's environment above Debian: /opt/trainer, from the lock files. Run at the root of the repository.
#
#   stage.sh torch|torch-cuda|tensorflow STAGE
#
# Needs what workers/trainer/install.sh needs, with the Python of the image's Debian.
set -eu
set_name=$1
stage=$2
folder="$stage/opt/trainer"
mkdir -p "$stage/opt"
PYTHON=/usr/bin/python3 STAGE=$stage workers/trainer/install.sh "$set_name" "$folder"
site=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo /opt/slipway-trainer > "$site/slipway_trainer.pth"
rm -rf "$site"/pip "$site"/pip-*
# The libraries' own tests, and headers for which the image has no compiler: a third of the files, each of which a node
# has to unpack.
rm -rf "$site"/torch/include "$site"/tensorflow/include "$site"/pyarrow/include
find "$site" -type d -name tests -prune -exec rm -rf {} +
# It was made elsewhere than where it will be.
grep -rlI --exclude-dir=site-packages "$stage" "$folder/bin" "$folder/pyvenv.cfg" | xargs -r sed -i "s#$stage##g"
