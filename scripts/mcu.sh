#!/bin/sh
# mcu.sh - instructions per multiply-accumulate on an emulated Cortex-M4 (bench/mcu.c), and whether its
# results are the host's. The last line is for programs; the exit status tells whether digests are equal.
set -u
cd "$(dirname "$0")/.." || exit 1
scripts/need.sh arm-none-eabi-gcc qemu-system-arm || exit 1
build=${BUILD:-build}/mcu
mkdir -p "$build" || exit 1
warnings='-Wall -Wextra -Wshadow -pedantic -Werror'

# shellcheck disable=SC2086 # lists of options
arm-none-eabi-gcc -std=gnu11 -O2 $warnings -mthumb -mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16 -I. \
    bench/mcu.c tests/cortex-m/start.c -o "$build/m4" --specs=rdimon.specs -T tests/cortex-m/mps2.ld -lm &&
    ${CC:-cc} -std=c11 -O2 $warnings -I. bench/mcu.c -o "$build/host" || exit 1

timeout 300 qemu-system-arm -M mps2-an386 -icount shift=0 -nographic -monitor none \
    -semihosting-config enable=on,target=native -kernel "$build/m4" </dev/null >"$build/m4.txt" || exit 1
"$build/host" >"$build/host.txt" || exit 1
cat "$build/m4.txt"
sed 's/  instructions.*//' "$build/m4.txt" | cmp -s - "$build/host.txt" && equal=1 || equal=0
grep -q -e DIFFER -e failed "$build/m4.txt" && equal=0
sed -n 's/^  portable *\([^ ]*\).* \([0-9.]*\)$/\1 \2/p' "$build/m4.txt" | LC_ALL=C awk -v equal="$equal" '
    $2 > most[$1] { most[$1] = $2 }
    END { printf "result forward=%.2f backward_data=%.2f backward_weight=%.2f digests_equal=%d\n",
                 most["forward"], most["backward-data"], most["backward-weight"], equal }'
[ "$equal" = 1 ]
