#!/bin/sh
# export.sh - weights out and in: what is exported comes back the same, other programs read it, and files
# that lie are refused with nothing written. From the repository's root; see program.sh.
# shellcheck disable=SC2086 # lists of options
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/program.sh
. "$here/program.sh"

# made FILE...: the last call succeeded and left these files
made() {
    for file in "$@"; do [ -s "$file" ] || return 1; done
    tail -n 1 out | grep -q '^result '
}

# python MODULE: a Python that has it, in $python; else says so and fails
python() {
    for python in python3 /usr/bin/python3; do
        "$python" -c "import $1" 2>/dev/null && return
    done
    echo "skipped: no python3 with $1"
    return 1
}

mls $tiny --out run >out 2>err
mls test run/last.mlsck >first 2>err
mls export run/last.mlsck --safetensors a.safetensors --npz a.npz --npy arrays >out 2>err
made a.safetensors a.npz arrays/layer1.0.conv1.weight.npy arrays/fc.bias.npy arrays/bn1.running_var.npy
ok $? 'all files at once'

# result FILE: what a test says of it, without speed and digest
result() { tail -n 1 "$1" | sed 's/images_per_second=[^ ]* digest=[^ ]*//'; }
for kind in npz safetensors; do
    mls import a.$kind $tiny --out $kind.mlsck >out 2>err && made $kind.mlsck
    ok $? "import $kind"
    digest >$kind.digest
    mls test $kind.mlsck >second 2>err && [ "$(result first)" = "$(result second)" ]
    ok $? "$kind: the same test"
    mls export $kind.mlsck --npz again.npz >out 2>err && cmp -s a.npz again.npz
    ok $? "$kind: the same tensors"
done
cmp -s npz.digest safetensors.digest
ok $? 'the same digest'
runs 'what came in is trained on' train --resume npz.mlsck --epochs 2
mls import a.npz $tiny --mean 0.5,0.25,0 --std 0.5,1,0.2 --out other.mlsck >out 2>err &&
    mls export other.mlsck --safetensors other.safetensors >out 2>err &&
    grep -aq '"mls.mean_1":"63.75"' other.safetensors &&
    grep -aq '"mls.scale_2":"0.0196078431372549' other.safetensors
ok $? 'a normalisation of their own'

# Another program's view: names, shapes, order of the numbers
if python numpy; then
    "$python" - >out 2>err <<'END'
import json, numpy, struct
npz = numpy.load("a.npz")
raw = open("a.safetensors", "rb").read()
length, = struct.unpack("<Q", raw[:8])
header, numbers = json.loads(raw[8:8 + length]), raw[8 + length:]
assert header.pop("__metadata__")["mls.model"] == "resnet8" and length % 8 == 0
assert sorted(header) == sorted(npz) and len(npz) == 37
for name, entry in header.items():
    first, last = entry["data_offsets"]
    there = numpy.frombuffer(numbers[first:last], "<f4").reshape(entry["shape"])
    assert (there == npz[name]).all() and (there == numpy.load(f"arrays/{name}.npy")).all(), name
assert npz["layer2.0.conv1.weight"].shape == (16, 8, 3, 3) and npz["fc.weight"].shape == (10, 32)
numpy.savez_compressed("deflated.npz", **npz)
numpy.savez("double.npz", **{n: a.astype("f8") for n, a in npz.items()}, **{"bn1.num_batches_tracked": 7})
numpy.savez("fortran.npz", **{n: numpy.asfortranarray(a) for n, a in npz.items()})
numpy.savez("half.npz", **{n: a.astype("f2") for n, a in npz.items()})
numpy.savez("one.npz", a=npz["fc.weight"])
one = open("one.npz", "rb").read()
files, end = one.index(b"PK\1\2"), one.index(b"PK\5\6")
entries = 1000 * one[files:end]
open("overlap.npz", "wb").write(one[:files] + entries + b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 1000, 1000, len(entries), files, 0))
END
    ok $? 'NumPy reads the same in all of them'
    mls import double.npz $tiny --out double.mlsck >out 2>err && digest | cmp -s - npz.digest
    ok $? 'doubles, and what PyTorch counts'
    refused 'a compressed NPZ file' 'is compressed' import deflated.npz $tiny --out no.mlsck
    refused 'files that are one' 'its files overlap' import overlap.npz $tiny --out no.mlsck
    refused "Fortran's order" "Fortran's order" import fortran.npz $tiny --out no.mlsck
    refused 'half precision' 'of type <f2' import half.npz $tiny --out no.mlsck
fi

# Models in place of a checkpoint
mls export run/last.mlsck --weights slim.mlsck --packed packed.mlsck >out 2>err && made slim.mlsck packed.mlsck
ok $? 'models'
[ "$(wc -c <slim.mlsck)" -lt $(($(wc -c <run/last.mlsck) * 3 / 5)) ] &&
    [ "$(wc -c <packed.mlsck)" -lt $(($(wc -c <slim.mlsck) / 3)) ]
ok $? 'models are smaller'
for kind in slim packed; do
    mls test $kind.mlsck >second 2>err && [ "$(result first)" = "$(result second)" ]
    ok $? "$kind: the same test"
    mls export $kind.mlsck --npz $kind.npz --packed again.mlsck >out 2>err && cmp -s packed.mlsck again.mlsck
    ok $? "$kind: the same model"
    mls train $net --epochs 1 --init $kind.mlsck >out 2>err && grep -q "^37 of 37 tensors are from $kind.mlsck" out
    ok $? "$kind: first weights"
    refused "$kind: to be trained on" 'a model, without' train --resume $kind.mlsck --epochs 3
done
cmp -s a.npz slim.npz && ! cmp -s a.npz packed.npz
ok $? 'tensors of models'
mls predict run/last.mlsck "$here/pictures/test" >first 2>err && mls predict slim.mlsck "$here/pictures/test" >second 2>err &&
    mls predict packed.mlsck "$here/pictures/test" >out 2>err && cmp -s first second && cmp -s first out
ok $? 'models predict the same'
refused 'fp32 weights of packed ones' 'it has no others' export packed.mlsck --weights no.mlsck
refused 'packed weights in another format' 'of other formats' test packed.mlsck --test-format 2,4
mls report packed.mlsck >out 2>err && grep -q 'No errors by layer: .* for inference' out
ok $? 'a report of packed weights'

# A header: in C11 and C++17, with the library as the C that it is
mls export run/last.mlsck --c-header net.h >out 2>err && made net.h
ok $? 'a C header'
awk 'length > 100 { exit 1 }' net.h
ok $? 'its lines are short'
echo '#include "mls_train.h"' | ${CC:-cc} -std=c11 -O1 -DMLS_NO_SIMD -DMLS_IMPLEMENTATION -I"$here/.." -x c -c - -o mls.o >out 2>err
strict='-pedantic -Wall -Wextra -Wconversion -Wshadow -Werror'
for how in "${CC:-cc} -std=c11" "${CXX:-c++} -std=c++17 -x c++"; do
    $how $strict -I"$here/.." -I. -c "$here/c_header.c" -o c_header.o >out 2>err &&
        ${CC:-cc} c_header.o mls.o -o c_header -lm >out 2>err && ./c_header run/last.mlsck >out 2>err
    ok $? "$how"
done
mls export packed.mlsck --c-header net2.h >out 2>err && sed 's/net2_/net_/g;s/net2 /net /' net2.h | cmp -s - net.h
ok $? 'the same header of a model'
cp -r "$here/pictures" odd
for part in train test; do mv odd/$part/dark "odd/$part/$(printf 'a"b\\ ??( */\303' | tr -d /)"; done
mls $net --epochs 1 --data odd --resize --out odd.run >out 2>err && mls export odd.run/last.mlsck --c-header odd.h >out 2>err
ok $? 'classes of odd names'
tail -c +2 "$here/fuzz/corpus/checkpoint/open" >all.mlsck
mls export all.mlsck --c-header 2.all.h --weights other.mlsck >out 2>err && mls export other.mlsck --npz other.npz >out 2>err
ok $? 'the network of another program'
for header in odd 2.all; do
    printf '#include "%s.h"\nint main(void) { return 0; }\n' $header | ${CC:-cc} -std=c11 $strict -I. -x c -fsyntax-only - >out 2>err
    ok $? "$header.h compiles"
done
grep -q 'odd_class_names\[2\]' odd.h && ! grep -q class_names 2.all.h && grep -q 'net_2_model' 2.all.h
ok $? 'what they know of classes'

length=$(od -An -t u8 -N 8 a.safetensors | tr -d ' ')
# put_length BYTES: as the file has it
put_length() {
    for shift in 0 8 16 24 32 40 48 56; do
        # shellcheck disable=SC2059 # an escape that is made here
        printf "\\$(printf %o $(($1 >> shift & 255)))"
    done
}

# Every kind of layer that the library has, but one loss
tail -c +2 "$here/fuzz/corpus/checkpoint/amounts" >amounts.mlsck
for name in all amounts run/last; do
    mls export $name.mlsck --onnx $name.onnx >out 2>err && made $name.onnx
    ok $? "ONNX of $name"
done

# ONNX: right, and the shapes that follow are ours. bench/peers/reload.sh runs it.
if python onnx; then
    "$python" - >out 2>err <<'END'
import numpy, onnx, onnx.numpy_helper, onnx.shape_inference
for name, picture, classes in ("all.onnx", (2, 4, 5), 3), ("amounts.onnx", (2, 4, 5), 3), ("run/last.onnx", (3, 32, 32), 10):
    model = onnx.load(name)
    onnx.checker.check_model(model, full_check=True)
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    shape = lambda v: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
    assert [(v.name, shape(v)) for v in graph.input] == [("input", ["N", *picture])]
    assert [(v.name, shape(v)) for v in graph.output] == [("logits", ["N", classes])]
    shapes = {v.name: shape(v) for v in graph.value_info}
    assert all(of[0] == "N" for of in shapes.values() if len(of) > 1)
assert {p.key: p.value for p in model.metadata_props}["model"] == "resnet8"
npz = numpy.load("a.npz")
there = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
assert all((there[name] == npz[name]).all() for name in npz)
assert shapes["node20"] == ["N", 32, 8, 8] and shapes["node28"] == ["N", 10]
END
    ok $? 'ONNX is what its checker wants'
fi

# wrong NAME TEXT SED: a file whose header says something else
wrong() {
    tail -c +9 a.safetensors | head -c "$length" | LC_ALL=C sed "1,/bn1.bias/{$3}" >header
    { put_length "$(wc -c <header)" && cat header && tail -c +$((length + 9)) a.safetensors; } >wrong.safetensors
    refused "$1" "$2" import wrong.safetensors $tiny --out no.mlsck
}
wrong 'another type' 'conv1.weight has numbers of type F16' 's/"F32"/"F16"/'
wrong 'another shape' 'conv1.weight is \[8, 3, 9, 1\] there, \[8, 3, 3, 3\] here' 's/8, 3, 3, 3/8, 3, 9, 1/'
wrong 'a shape that lies' 'has 860 bytes for 216 numbers' 's/\[0,864\]/[0,860]/;s/\[864,/[860,/'
wrong 'places that overlap' 'overlap' 's/\[864,/[860,/'
wrong 'a place outside' 'data_offsets' 's/\[0,864\]/[0,9e9]/'
wrong 'a place far outside' 'data_offsets' 's/\[864,896\]/[864,9999999999999999999999]/'
wrong 'a place that is negative' 'data_offsets' 's/\[0,864\]/[-4,86]/'
wrong 'no place' 'data_offsets' 's/data_offsets/data_Offsets/'
wrong 'no shape' 'shape' 's/"shape"/"Shape"/'
wrong 'no type' 'dtype' 's/"dtype"/"Dtype"/'
wrong 'no number' 'shape' 's/\[8, 3/["", 3/'
wrong 'no object' 'no JSON' 's/^{/[/'
wrong 'a number for a header' 'no JSON object' 's/^{/7 {/'
wrong 'a key that is none' 'no JSON' 's/"conv1.weight"/7/'
wrong 'a tensor that is a number' 'is no object' 's/:{"dtype.*}/:7/'
wrong 'types by the dozen' 'conv1.weight has numbers' 's/"F32"/"F32\\u0020\\n\\n"/'
wrong 'an unknown tensor' 'no conv1.weight' 's/"conv1.weight/"cOnv1.weight/'
wrong 'a tensor that is there twice' 'no bn1.weight' 's/"bn1.weight/"bn1.bias/;s/"conv1/"conv1/'

for size in 0 7 8 9 "$length" $((length + 7)) $((length + 8)) $((length + 2000)); do
    head -c "$size" a.safetensors >wrong.safetensors
    refused "$size bytes" 'wrong.safetensors' import wrong.safetensors $tiny --out no.mlsck
done
size=$(wc -c <a.npz)
for size in 0 21 22 100 $((size / 2)) $((size - 23)) $((size - 1)); do
    head -c "$size" a.npz >wrong.npz
    refused "$size bytes of NPZ" 'wrong.npz' import wrong.npz $tiny --out no.mlsck
done
{ put_length 9223372036854775807 && tail -c +9 a.safetensors; } >wrong.safetensors
refused 'a header of 2^63 bytes' 'truncated' import wrong.safetensors $tiny --out no.mlsck
cp a.safetensors wrong.safetensors
printf '\000\000\300\177' | dd of=wrong.safetensors bs=1 seek=$((length + 8 + 12)) conv=notrunc 2>/dev/null
refused 'not a number' 'conv1.weight: number 3 is not finite' import wrong.safetensors $tiny --out no.mlsck
cp a.npz wrong.npz
printf '\001' | dd of=wrong.npz bs=1 seek=300 conv=notrunc 2>/dev/null
refused 'a bit of an NPZ file' 'conv1.weight is damaged' import wrong.npz $tiny --out no.mlsck
refused 'another network' 'has no layer1.1.conv1.weight' import a.npz --model resnet14 --width 8 --out no.mlsck
refused 'another width' '8, 3, 3, 3' import a.npz --model resnet8 --width 4 --out no.mlsck
refused 'an option twice' 'given twice' import a.npz $tiny --width 8 --out no.mlsck
refused 'half a normalisation' 'belong together' import a.npz $tiny --mean 1,1,1 --out no.mlsck
refused 'no normalisation' 'want 3 numbers' import a.npz $tiny --mean 1,1 --std 1,1,1 --out no.mlsck
refused 'a deviation of 0' 'above 0' import a.npz $tiny --mean 1,1,1 --std 1,0,1 --out no.mlsck
refused 'another kind of file' 'ends in' import run/last.mlsck $tiny --out no.mlsck
refused 'no file' 'which tensors' import --out no.mlsck
refused 'no place for it' 'where to' import a.npz $tiny
refused 'no file that is there' 'gone.npz' import gone.npz $tiny --out no.mlsck
refused 'export of nothing' 'export as what' export run/last.mlsck
refused 'export of no checkpoint' 'not a checkpoint' export a.npz --npz no.npz
refused 'export of no file' 'which checkpoint' export --npz no.npz
refused 'export to no folder' 'no/folder' export run/last.mlsck --npz no/folder/a.npz
[ ! -e no.mlsck ] && [ ! -e no.npz ]
ok $? 'nothing was written'

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
