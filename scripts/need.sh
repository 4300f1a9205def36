#!/bin/sh
# need.sh THING ... - makes sure that things are there, installing what is missing with apt-get
# where there is one (through sudo when not root), or says exactly what to install. A thing is
#   a command          cc c++ clang gnuplot ...
#   a header           stb/stb_image.h
#   a part of clang    libomp clang-sanitizers
#   a Python module    python3-onnx
set -u

# Debian's package of a thing.
package() {
    case $1 in
    cc | gcc) echo gcc libc6-dev ;;
    c++ | g++) echo g++ ;;
    clang | clang++) echo clang ;;
    cmake) echo cmake ;;
    clang-format) echo clang-format ;;
    gnuplot) echo gnuplot-nox ;;
    tcc) echo tcc ;;
    libomp) echo libomp-dev ;;
    clang-sanitizers) echo "libclang-rt-$(clang -dumpversion 2>/dev/null | sed 's/\..*//' | grep . || echo 14)-dev" ;;
    stb/stb_image.h) echo libstb-dev ;;
    jsmn.h) echo libjsmn-dev ;;
    dnnl.h) echo libdnnl-dev ;;
    aarch64-linux-gnu-gcc) echo gcc-aarch64-linux-gnu libc6-dev-arm64-cross ;;
    arm-linux-gnueabihf-gcc) echo gcc-arm-linux-gnueabihf libc6-dev-armhf-cross ;;
    i686-linux-gnu-gcc) echo gcc-i686-linux-gnu libc6-dev-i386-cross ;;
    riscv64-linux-gnu-gcc) echo gcc-riscv64-linux-gnu libc6-dev-riscv64-cross ;;
    s390x-linux-gnu-gcc) echo gcc-s390x-linux-gnu libc6-dev-s390x-cross ;;
    arm-none-eabi-gcc) echo gcc-arm-none-eabi libnewlib-arm-none-eabi ;;
    x86_64-w64-mingw32-gcc) echo gcc-mingw-w64-x86-64 ;;
    x86_64-w64-mingw32-g++) echo g++-mingw-w64-x86-64 ;;
    wine) echo wine wine64 ;;
    qemu-*-static) echo qemu-user-static ;;
    *) echo "$1" ;;
    esac
}

here() {
    case $1 in
    *.h) echo "#include <$1>" | ${CC:-cc} -E -x c - >/dev/null 2>&1 ;;
    libomp) ! command -v clang >/dev/null 2>&1 ||
        echo 'int x;' | clang -fopenmp -include omp.h -c -x c -o /dev/null - 2>/dev/null ;;
    clang-sanitizers) echo 'int main(void) { return 0; }' |
        clang -fsanitize=address -x c - -o /dev/null 2>/dev/null ;;
    python3-*) /usr/bin/python3 -c "import ${1#python3-}" 2>/dev/null ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

list=
for thing in "$@"; do
    here "$thing" || list="$list $(package "$thing")"
done
[ -n "$list" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "please install, by Debian's names:$list" >&2
    exit 1
fi
sudo=
if [ "$(id -u)" != 0 ]; then
    sudo=sudo
    if ! command -v sudo >/dev/null 2>&1; then
        echo "please run as root: apt-get install -y$list" >&2
        exit 1
    fi
fi
echo "installing:$list" >&2
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # the list is words, and sudo may be none
$sudo apt-get install -y -qq $list >/dev/null 2>&1 ||
    { $sudo apt-get update -qq >/dev/null 2>&1 && $sudo apt-get install -y -qq $list >/dev/null; } || {
    echo "apt-get could not install:$list" >&2
    exit 1
}
