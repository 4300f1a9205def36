#!/bin/sh
# cifar10.sh DIR - puts CIFAR-10's binary files into DIR: from the network, or from a copy of
# cifar-10-binary.tar.gz that already lies there. The archive's sha256 is checked.
set -eu
dir=${1:?usage: cifar10.sh DIR}
url=https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz
sum=c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd
archive=$dir/cifar-10-binary.tar.gz

if [ -f "$dir/data_batch_5.bin" ] && [ -f "$dir/test_batch.bin" ]; then
    echo "$dir has CIFAR-10"
    exit 0
fi
mkdir -p "$dir"
if [ ! -f "$archive" ]; then
    echo "fetching $url (162 MB)"
    if command -v curl >/dev/null 2>&1; then
        curl -fL --connect-timeout 15 -o "$archive.part" "$url" && mv "$archive.part" "$archive"
    elif command -v wget >/dev/null 2>&1; then
        wget -T 15 -t 2 -O "$archive.part" "$url" && mv "$archive.part" "$archive"
    fi || true
    rm -f "$archive.part"
fi
if [ ! -f "$archive" ]; then
    echo "cannot fetch CIFAR-10: no network, or neither curl nor wget." >&2
    echo "Bring $url here as $archive and try again," >&2
    echo "or train on your own pictures: mls train --data DIR with train/CLASS/*.jpg, test/CLASS/*.jpg." >&2
    exit 1
fi
if ! echo "$sum  $archive" | sha256sum -c --status -; then
    echo "$archive is damaged: its sha256 is not $sum. Remove it and try again." >&2
    exit 1
fi
tar -xzf "$archive" -C "$dir" --strip-components=1
echo "$dir has CIFAR-10"
