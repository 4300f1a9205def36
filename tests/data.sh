#!/bin/sh
# data.sh - what the example program makes of --data: CIFAR-10's files and folders of pictures, a clear
# line for what is neither, and no half picture. From the repository's root; see program.sh.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/program.sh
. "$here/program.sh"

# shellcheck disable=SC2086
{
    # CIFAR-10's binary files, made here: 10000 records of a label and 3072 bytes
    mkdir bin
    head -c 30720000 /dev/zero | tr '\0' 'm' | fold -b -w 3072 | head -n 10000 |
        awk '{ printf "%c%s", 1 + NR % 8, $0 }' >bin/data_batch_1.bin
    for i in 2 3 4 5; do cp bin/data_batch_1.bin bin/data_batch_$i.bin; done
    cp bin/data_batch_1.bin bin/test_batch.bin
    runs 'CIFAR-10 files' $net --epochs 1 --data bin
    runs 'CIFAR-10 files, small' $net --epochs 1 --data bin --size 12
    printf 'x' >>bin/data_batch_3.bin
    refused 'a long CIFAR-10 file' data_batch_3.bin $tiny --data bin
    head -c 100 bin/data_batch_1.bin >bin/data_batch_3.bin
    refused 'a short CIFAR-10 file' data_batch_3.bin $tiny --data bin
    rm bin/data_batch_3.bin
    refused 'a CIFAR-10 file missing' 'data_batch_3.bin: No such file' $tiny --data bin
    mkdir around
    mv bin around/bin
    refused 'the folder around CIFAR-10' 'did you mean around/bin?' $tiny --data around
    refused 'a file of CIFAR-10' 'not a folder; did you mean around/bin?' $tiny --data around/bin/test_batch.bin
    mv around/bin/test_batch.bin test_batch.bin
    refused 'CIFAR-10 without its test file' 'test_batch.bin: No such file' $tiny --data around/bin
    rm -r around test_batch.bin

    # CIFAR-100's: records of a coarse label, a fine one and 3072 bytes, of which the last is blue
    mkdir hundred
    for part in train test; do
        i=0
        while [ $i -lt 40 ]; do
            # shellcheck disable=SC2059 # octal bytes
            printf "\\$(printf %o $((i % 20)))\\$(printf %o $((i % 20 * 5 + i % 3)))"
            head -c 3072 /dev/zero | tr '\0' "\\$(printf %o $((i % 20 * 12)))"
            i=$((i + 1))
        done >hundred/$part.bin
    done
    hundred='--model resnet8 --width 4 --batch 8 --epochs 1 --data hundred'
    runs 'CIFAR-100 files' $hundred --out fine
    grep -q '"classes": "100"' fine/config.json && grep -q '"class_7": "class 7"' fine/config.json
    ok $? 'CIFAR-100 has 100 classes, with numbers for names'
    seq -f 'name %g' 0 99 >hundred/fine_label_names.txt
    seq -f 'kind %g' 0 19 >hundred/coarse_label_names.txt
    runs 'CIFAR-100 with names' $hundred --out named
    grep -q '"class_99": "name 99"' named/config.json
    ok $? 'CIFAR-100 has the names of its file'
    runs 'coarse labels' $hundred --coarse --out coarse
    grep -q '"classes": "20"' coarse/config.json && grep -q '"class_19": "kind 19"' coarse/config.json
    ok $? 'coarse labels: 20 classes and their names'
    runs 'test of coarse labels' test coarse/last.mlsck
    refused 'coarse labels where they are fine' 'was made without --coarse' --resume named --coarse
    seq 0 98 >hundred/fine_label_names.txt
    refused 'CIFAR-100 with too few names' 'not the names of 100 classes' $hundred
    rm hundred/fine_label_names.txt
    printf 'x' >>hundred/train.bin
    refused 'a long CIFAR-100 file' 'train.bin: 122961 bytes, not 3074 for each' $hundred
    head -c 3074 /dev/zero | tr '\0' d >hundred/train.bin
    refused 'CIFAR-100 with other labels' 'train.bin: picture 0 has labels' $hundred
    rm hundred/train.bin
    refused 'CIFAR-100 without its training file' 'train.bin: No such file' $hundred
    rm -r hundred fine named coarse

    cp -r "$here/pictures" pictures
    cp pictures/other-size.png pictures/train/dark/9.png
    refused 'a picture of another size' 9.png $tiny --data pictures --fit exact
    runs 'resized' $net --epochs 1 --data pictures --resize
    resized=$(digest)
    runs 'stretched' $net --epochs 1 --data pictures --fit stretch
    [ "$(digest)" = "$resized" ]
    ok $? 'stretched: the same as resized'
    for fit in letterbox crop; do
        runs "$fit" $net --epochs 1 --data pictures --fit $fit
        [ "$(digest)" != "$resized" ]
        ok $? "$fit: other pixels"
    done
    refused 'a fit that is none' '--fit tight: not letterbox' $tiny --data pictures --fit tight
    refused 'two fits' '--resize and --fit crop exclude' $tiny --data pictures --fit crop --resize

    # Any size and one channel, of any data; the checkpoint knows
    for size in 0 5x 4097 4x4x4 32x; do
        refused "a size of $size" "--size $size: not N or HxW" $tiny --size $size
    done
    runs 'small and grey' $net --epochs 1 --data pictures --size 21x14 --grey --out grey
    whole=$(digest)
    grep -q '"input": "21x14x1"' grey/config.json
    ok $? 'config.json has the size'
    runs 'test of grey pictures' test grey/last.mlsck
    [ "$(digest)" = "$whole" ] && [ "$(sed 's/.*test_accuracy=\([^ ]*\).*/\1/' out | tail -n 1)" = \
        "$(sed 's/.*test_accuracy":\([0-9.]*\)..,.*/\1/' grey/log.jsonl)" ]
    ok $? 'test of grey pictures: the accuracy of the log'
    runs 'the same size in other words' --resume grey --size 21x14
    refused 'another size than there' 'was made with --size 21x14, not 14x14' --resume grey --size 14
    refused 'another fit than there' 'was made with --fit letterbox, not crop' test grey/last.mlsck --fit crop
    runs 'built-in pictures of another size' $net --epochs 1 --size 16x24 --grey
    refused 'built-in pictures are exact' '--size 16x16: the pictures have 32x32' $tiny --size 16 --fit exact
    mls plan $net --size 48 --grey >out 2>err && grep -q ' input  *48x48x1' out
    ok $? 'a plan of that size'
    cp pictures/broken.png pictures/train/dark/9.png
    refused 'a broken picture' 9.png $tiny --data pictures
    rm pictures/train/dark/9.png

    # Half a picture is refused by name, whatever stb_image makes of it
    for form in grey progressive restarts scans refined interlaced palette; do
        from=$(echo pictures/forms/$form.*)
        to=pictures/train/dark/$form.${from##*.}
        head -c $(($(wc -c <"$from") / 2)) "$from" >"$to"
        refused "half of $form" "decoded: 1, such as .*dark/$form" $tiny --data pictures --resize
        grep -q "^$to: ends early" err
        ok $? "half of $form: why"
        cp "$from" "$to"
    done
    runs 'whole pictures of every form' $net --epochs 1 --data pictures --resize
    # What is not a picture inside, and one that is too large: 9000 pixels wide in its header
    { head -c 40 pictures/forms/grey.jpg | tail -c 20 && echo; } >pictures/train/dark/noise.jpg
    printf 'RIFF....WEBPVP8 ' >pictures/train/dark/webp.jpg
    : >pictures/train/dark/empty.png
    printf '\377\330\377\300\0\013\10\0\040\043\050\1\1\021\0\377\331' >pictures/train/light/wide.jpg
    refused 'all bad pictures are named' 'decoded: 4, ' $tiny --data pictures --resize
    for line in 'noise.jpg: neither JPEG nor PNG' 'webp.jpg: a WebP picture' 'empty.png: empty' \
        'wide.jpg: 9000x32 pixels, over 8192'; do
        grep -q "^pictures/train/.*$line" err
        ok $? "the reason: $line"
    done
    runs 'bad pictures are skipped' $net --epochs 1 --data pictures --resize --skip-bad
    skipped=$(digest)
    tr '\n' ' ' <err | grep -q 'left out pictures that cannot be decoded: 4, such as'
    ok $? 'how many are skipped'
    rm pictures/train/*/noise.jpg pictures/train/*/webp.jpg pictures/train/*/empty.png pictures/train/*/wide.jpg
    runs 'without them' $net --epochs 1 --data pictures --resize
    [ "$(digest)" = "$skipped" ]
    ok $? 'the same digest as if they were not there'
    i=0
    while [ $i -lt 30 ]; do
        echo bad >"pictures/train/dark/bad$i.png"
        echo bad >"pictures/test/light/bad$i.png"
        i=$((i + 1))
    done
    refused 'many bad pictures' 'decoded: 60, ' $tiny --data pictures --resize
    [ "$(grep -c 'bad.*neither' err)" = 20 ]
    ok $? 'not all of them are listed'
    rm pictures/t*/*/bad*.png
    mkdir bad
    mv pictures/test/dark/* bad
    echo bad >pictures/test/dark/bad.png
    refused 'a class without a picture that can be read' 'of the class: dark' $tiny --data pictures --resize --skip-bad
    rm pictures/test/dark/bad.png
    mv bad/* pictures/test/dark
    for form in grey progressive restarts scans refined interlaced palette; do rm pictures/train/dark/$form.*; done

    # What is left out is counted, with an example
    cp pictures/train/dark/0.png pictures/train/dark/9.PnG
    touch pictures/train/dark/a.bmp pictures/test/light/b.WEBP pictures/train/light/.DS_Store pictures/train/list.csv
    mkdir pictures/train/light/nested pictures/train/none
    runs 'with other files' $net --epochs 1 --data pictures
    for line in 'files that do not end in .jpg, .jpeg or .png: 2' 'hidden files and folders: 1' \
        'folders in class folders: 1' 'files beside the class folders: 1' 'folders without pictures: 1'; do
        tr '\n' ' ' <err | grep -q "left out $line, such as"
        ok $? "left out $line"
    done
    tr '\n' ' ' <err | grep -q 'do not end in .jpg, .jpeg or .png: 2, such as pictures/test/light/b.WEBP '
    ok $? 'an example of them'
    ! grep -q PnG err
    ok $? 'letters of any case'
    rm pictures/train/dark/9.PnG pictures/train/dark/a.bmp pictures/test/light/b.WEBP pictures/train/light/.DS_Store
    rm -r pictures/train/list.csv pictures/train/light/nested pictures/train/none

    # Classes
    mv pictures/test/dark pictures/test/zzz
    refused 'a class missing' 'test has no pictures of the class dark' $tiny --data pictures
    mv pictures/test/zzz pictures/test/dark
    cp -r pictures/test/dark pictures/test/extra
    refused 'a class too many' 'train has no pictures of the class extra' $tiny --data pictures
    rm -r pictures/test/extra
    mkdir one
    for part in train test; do mkdir one/$part && cp -r pictures/$part/dark one/$part; done
    refused 'one class' 'test has one class only, dark' $tiny --data one
    long=$(printf '%064d' 0)
    mv one/test/dark "one/test/$long"
    refused 'a class with a long name' "over 63 bytes: one/test/$long" $tiny --data one
    mv "one/test/$long" "$(printf 'one/test/a\033[31m')"
    refused 'a class with a colour in its name' 'control characters: one/test/a?.31m' $tiny --data one
    rm -r one

    # One folder, of which the names of files say what is for the test
    mkdir -p all/dark all/light
    for class in dark light; do
        i=0
        for file in "pictures/train/$class"/*; do
            for copy in a b c d; do cp "$file" "all/$class/$copy$i.${file##*.}"; done
            i=$((i + 1))
        done
    done
    parts() { sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p" "$2/config.json"; }
    few='--model resnet8 --width 4 --batch 16'
    one="$few --epochs 1"
    refused 'one folder without a word' 'all: neither.*--split 20% takes one folder' $one --data all
    runs 'one folder' $one --data all --split 25% --out split
    split=$(digest)
    [ "$(($(parts train_count split) + $(parts test_count split)))" = 32 ] && [ "$(parts test_count split)" -gt 2 ] &&
        [ "$(parts test_count split)" -lt 16 ]
    ok $? 'one folder: its parts are all of it'
    mkdir moved
    mv all moved
    runs 'test of one folder, elsewhere' test split/last.mlsck --data moved/all
    [ "$(sed -n 's/^result test_accuracy=\([^ ]*\).*/\1/p' out)" = \
        "$(sed 's/.*test_accuracy":\([0-9.]*\)..,.*/\1/' split/log.jsonl)" ]
    ok $? 'test of one folder: the same pictures'
    mv moved/all .
    for extra in x y z; do
        cp all/dark/a0.png all/dark/$extra.png
        runs "with $extra.png, too" $one --data all --split 25% --out more-$extra
        [ "$(parts train_hash split)" = "$(parts train_hash more-$extra)" ] && test=1 || test=0
        [ "$(parts test_hash split)" = "$(parts test_hash more-$extra)" ] && train=1 || train=0
        [ $((test + train)) = 1 ]
        ok $? "with $extra.png, too: the others stay in their parts"
        rm all/dark/$extra.png
    done
    refused 'another split than there' 'was made with --split 25%, not 30%' --resume split --split 30
    runs 'the same split in other words' --resume split --split 25.0
    [ "$(digest)" = "$split" ]
    ok $? 'the same split in other words: the same digest'
    refused 'a split of what has parts' '--split: --data pictures has test pictures' $one --data pictures --split 20%
    refused 'a split that is none' '--split 20x: not from 0.01% to 90%' $one --data all --split 20x
    refused 'a split that leaves nothing' 'no test pictures are left' $one --data all --split 0.01%

    # Pictures that say which epoch is the best
    runs 'validation' $few --epochs 3 --data all --split 25% --validation 20% --out valid
    [ "$(($(parts train_count valid) + $(parts validation_count valid)))" = "$(parts train_count split)" ] &&
        [ "$(parts test_hash valid)" = "$(parts test_hash split)" ]
    ok $? 'validation: some of the training pictures'
    [ "$(grep -c '^epoch.*validation.*test ' out)" = 3 ] && [ "$(grep -c validation_accuracy valid/log.jsonl)" = 3 ] &&
        tr '\n' ' ' <out | grep -q 'best by validation: epoch [123] (best.mlsck), with .* % of .* test pictures right'
    ok $? 'validation: it says which accuracy is which'
    best=$(sed 's/.*"epoch":\([0-9]*\).*"validation_accuracy":\([0-9.]*\),.*/\2 \1/' valid/log.jsonl | sort -k1,1nr -k2,2n | head -n 1)
    grep -q "best by validation: epoch ${best#* } " out
    ok $? 'validation: the best epoch is the best of it'
    tail -n 1 out | grep -q " best_by=validation best_epoch=${best#* } best_validation_accuracy=$(printf %.2f "${best% *}") "
    ok $? 'validation: the result line has the best epoch'
    tested=$(tail -n 1 out | sed 's/.* best_test_accuracy=//')
    runs 'test of what was validated' test valid/best.mlsck
    tail -n 1 out | grep -q "^result test_accuracy=$tested "
    ok $? 'validation: and the test accuracy of best.mlsck'
    runs 'validation of built-in pictures' $net --epochs 1 --validation 25 --out built
    [ "$(parts train_count built)" != 48 ] && [ "$(($(parts train_count built) + $(parts validation_count built)))" = 48 ]
    ok $? 'validation of built-in pictures: some of them'
    runs 'a sweep with validation' $net --epochs 2 --validation 25 --formats '2,1; fp32' --seeds 2 --out vsweep
    grep -q '^seeds .* validation and test ' out && [ "$(grep -v '^result' out | awk 'length > 80' | wc -l)" = 0 ]
    ok $? 'a sweep with validation: its table has it'
    means=$(awk -F, '/^"2,1"/ { epoch += $(NF - 2); test += $(NF - 1); validation += $NF }
        END { printf "best_epoch=%g best_validation_accuracy=%.2f best_test_accuracy=%.2f", epoch / 2, validation / 2, test / 2 }' vsweep/runs.csv)
    tail -n 1 out | grep -q "seed=1 best_by=validation $means\$"
    ok $? "a sweep with validation: its result has the means of runs.csv ($means)"
    refused 'another validation than there' 'was made with --validation 20%, not 30%' --resume valid --validation 30%

    # What is done with pictures
    for way in --no-flip '--crop 0' '--crop 2'; do
        runs "$way" $one --data all --split 25% $way
        [ "$(digest)" != "$split" ]
        ok $? "$way: another digest"
    done
    runs 'the crop that is the default' $one --data all --split 25% --crop 4
    [ "$(digest)" = "$split" ]
    ok $? 'the crop that is the default: the same digest'
    rm all/light/[bcd]*
    runs 'balanced' $one --data all --split 25% --balance --out equal
    runs 'not balanced' $one --data all --split 25% --out unequal
    [ "$(parts train_count equal)" -gt "$(parts train_count unequal)" ] && [ $(($(parts train_count equal) % 2)) = 0 ] &&
        [ "$(parts test_hash equal)" = "$(parts test_hash unequal)" ]
    ok $? 'balanced: pictures are repeated, but not of the test'
    refused 'balanced or not' 'equal/config.json: was made without\|was made without --balance' --resume unequal --balance
    rm -r all moved

    # --data that leads elsewhere
    refused 'a folder of one part' 'did you mean pictures?' $tiny --data pictures/train
    refused 'a folder of a class' 'did you mean pictures?' $tiny --data pictures/train/dark/
    refused 'a picture' 'not a folder; did you mean pictures?' $tiny --data pictures/train/dark/0.png
    touch data.tar.gz data.zip
    refused 'an archive' 'not a folder (unpack it with tar -xf' $tiny --data data.tar.gz
    refused 'a zip archive' 'not a folder (unpack it with unzip' $tiny --data data.zip
    mkdir other
    refused 'an empty folder' 'other: neither data_batch_1.bin' $tiny --data other
    for sign in 'data_batch_1 Python' 'data_batch_1.mat Matlab' 'fine_label_names.txt CIFAR-100' \
        'meta CIFAR-100' 'train-images-idx3-ubyte MNIST' 'cifar-10-binary.tar.gz unpack'; do
        touch "other/${sign% *}"
        refused "a folder with ${sign% *}" "other: .*${sign#* }" $tiny --data other
        rm "other/${sign% *}"
    done
    touch other/train other/test other/meta
    refused 'CIFAR-100 for Python' 'other: .*CIFAR-100' $tiny --data other
    # shellcheck disable=SC2088 # nobody expands it here either
    refused 'a ~ that stays' 'No such file or directory (the shell' $tiny --data '~/nowhere'
    refused 'a Windows path' 'No such file or directory (.*WSL)' $tiny --data 'C:\data'
    refused 'an address' 'fetch it first' $tiny --data https://example.com/cifar-10-binary.tar.gz
    mv pictures/test pictures/val
    refused 'a validation set' 'no folder test in it; is that val?' $tiny --data pictures
    rm -r pictures/val
    refused 'no test pictures' 'it has train, but no folder test' $tiny --data pictures
    refused 'a missing data folder' 'nowhere: No such file' $tiny --data nowhere
}

sums
