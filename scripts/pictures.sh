#!/bin/sh
# pictures.sh ARCHIVE DIR - unpacks an archive of train/CLASS/* and test/CLASS/* pictures into DIR,
# outside the repository, once; prints DIR.
set -eu
archive=${1:?usage: pictures.sh ARCHIVE DIR}
dir=${2:?usage: pictures.sh ARCHIVE DIR}
top=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
case $dir/ in
"$top"/*)
    echo "$dir is inside the repository: choose a folder outside" >&2
    exit 1
    ;;
esac
if [ ! -f "$dir/.unpacked" ]; then
    tar -xJf "$archive" -C "$dir"
    if [ ! -d "$dir/train" ] || [ ! -d "$dir/test" ]; then
        echo "$archive has no train and test folders" >&2
        exit 1
    fi
    touch "$dir/.unpacked"
fi
echo "$dir"
