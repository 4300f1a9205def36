#!/bin/sh
# report.sh - what mls report says of a run: a whole page that needs nothing else, tables that add up, the
# same twice, whatever the classes are called, and a clear line where there is no run. From the
# repository's root; see program.sh.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/program.sh
. "$here/program.sh"

# reports NAME ACCURACY OPTIONS...: succeeds, and ends with a result line that has this accuracy, if any.
reports() {
    name=$1 accuracy=$2
    shift 2
    mls report "$@" >out 2>err </dev/null
    code=$?
    [ "$code" = 0 ] && tail -n 1 out | grep -Eq "^result accuracy=${accuracy}[0-9.]* (best_by=.* )?report=.*/report.html\$"
    ok $? "$name (exit $code)"
}

# balanced FILE: every tag is closed by its own, and every attribute is in quotes.
balanced() {
    tr '\n' ' ' <"$1" | sed 's/<!DOCTYPE html>//; s/</\n</g' | awk '
        /^<\// { tag = substr($0, 3); sub(/>.*/, "", tag); if (stack[depth--] != tag) exit bad = 1; next }
        /^</ {
            tag = $0; sub(/^</, "", tag)
            if (!match(tag, /^[a-z0-9]+( [-a-zA-Z]+="[^"<>]*")*\/?>/)) exit bad = 1
            closed = substr(tag, RLENGTH - 1, 1) == "/"
            sub(/[ \/>].*/, "", tag)
            if (!closed) stack[++depth] = tag
        }
        />.*>/ { bad = 1 }
        END { exit bad || depth }'
}

# page NAME DIR: the page is whole, and needs no other file or network.
page() {
    balanced "$2/report.html"
    ok $? "$1: tags are balanced"
    ! command -v xmllint >/dev/null || xmllint --noout "$2/report.html" 2>err
    ok $? "$1: it is XML"
    ! grep -Eiq "https?:|url\(|@import|<script|<link|srcset" "$2/report.html" &&
        ! grep -o ' \(src\|href\)="[^"]\{0,15\}' "$2/report.html" | grep -qv '"data:image/png;'
    ok $? "$1: nothing is fetched"
}

# sums_up NAME DIR PICTURES RIGHT: rows and diagonal of the confusion matrix. Names have no comma.
sums_up() {
    awk -F, -v n="$3" -v right="$4" 'NR > 1 { rows++; for (i = 2; i <= NF; i++) all += $i; diagonal += $(NR) }
        NR == 1 { columns = NF - 1 }
        END { exit !(all == n && diagonal == right && rows == columns && rows > 1) }' "$2/confusion.csv"
    ok $? "$1: the confusion matrix adds up"
    awk -F, -v n="$3" -v right="$4" 'NR > 1 { all += $3; hits += $4; answers += $6 }
        END { exit !(all == n && hits == right && answers == n) }' "$2/classes.csv"
    ok $? "$1: the classes add up"
}

# shellcheck disable=SC2086
{
    runs 'a run' $net --epochs 3 --seed 5 --out run
    runs 'its test' test run/best.mlsck
    accuracy=$(tail -n 1 out | sed 's/.*test_accuracy=\([0-9.]*\).*/\1/')
    right=$(awk "BEGIN { printf \"%d\", $accuracy * 24 / 100 + 0.5 }")
    reports 'a report' "$accuracy" run
    page 'a run' run
    sums_up 'a run' run 24 "$right"
    tr '\n' ' ' <out | grep -q "Of the 24 test pictures $right are right: $accuracy %"
    ok $? 'the accuracy in words'
    [ "$(awk 'length > 80' out | grep -cv '^result')" = 0 ]
    ok $? 'lines of 80 columns'
    grep -q "<h1>$accuracy % of the test pictures are right</h1>" run/report.html
    ok $? 'the accuracy on the page'
    [ "$(grep -c . run/curves.csv)" = 4 ] && [ "$(grep -o 'class="d0"' run/report.html | grep -c .)" -gt 5 ]
    ok $? 'curves of three epochs'
    [ "$(grep -o '<img ' run/report.html | grep -c .)" = $((24 - right)) ] &&
        [ "$(grep -c . run/mistakes.csv)" = $((25 - right)) ]
    ok $? 'a picture of each mistake'
    awk -F'","|",' 'NR > 1 && $3 > last && last != "" { exit bad = 1 } { last = $3 } END { exit bad }' run/mistakes.csv
    ok $? 'the surest mistake first'
    # Six quantized convolutions; the first and the linear layer are fp32
    [ "$(grep -c ',"fp32",,,,,$' run/errors.csv)" = 6 ] && awk -F, '$5 > 0 && $5 < 5 && $NF <= 1 { n++ }
        { sub(/"[^"]*"/, "f") } $5 > 0 && $5 < 5 && $6 > 0 { m++ } END { exit m != 18 }' run/errors.csv
    ok $? 'errors of W, A and E in each quantized layer'
    cp -r run first
    reports 'a report again' "$accuracy" run --threads 1 --kernel scalar
    for file in report.html curves.csv classes.csv confusion.csv mistakes.csv errors.csv; do
        cmp -s run/$file first/$file
        ok $? "the same $file from another kernel"
    done
    reports 'the report of a checkpoint' "" run/last.mlsck
    grep -q 'last.mlsck, after 3 of 3' run/report.html
    ok $? 'which checkpoint it is'
    # Which pictures chose the epoch
    epoch=$(sed -n 's/.*best.mlsck, after \([0-9]*\) of 3.*/\1/p' first/report.html)
    [ "$epoch" = 1 ] || grep -q 'The test pictures chose this epoch' first/report.html
    ok $? 'it says that the test pictures chose'
    runs 'a run with validation' $net --epochs 3 --seed 5 --validation 25 --out valid
    best=$(tail -n 1 out | sed 's/.* \(best_by=.*\)/\1/')
    reports 'a report of it' "" valid
    page 'with validation' valid
    tail -n 1 out | grep -q " $best report=" && grep -q ' is the best by validation: ' valid/report.html
    ok $? 'it says what the validation pictures chose'
    [ "$(grep -o '>validation</text>' valid/report.html | grep -c .)" = 2 ] &&
        [ "$(sed '/<h2>Classes/q' valid/report.html | grep -o 'class="d2"' | grep -c .)" = 6 ]
    ok $? 'curves of validation'
    [ "$(awk -F, 'NR > 1 && $7 != "" && $8 != "" { n++ } END { print n }' valid/curves.csv)" = 3 ] &&
        [ "$(awk -F, 'NR > 1 && NF == 8 && $7 == "" && $8 == "" { n++ } END { print n }' run/curves.csv)" = 3 ]
    ok $? 'validation in curves.csv, where there is any'
    [ "$(awk 'length > 80' out | grep -cv '^result')" = 0 ] && grep -q '^epoch .* validation .* validation ' out
    ok $? 'validation in 80 columns'
    mkdir alone
    cp run/best.mlsck alone
    reports 'a checkpoint without its log' "$accuracy" alone
    page 'without a log' alone
    grep -q '^No curves: alone/log.jsonl: No such file' out && [ "$(grep -c . alone/curves.csv)" = 1 ]
    ok $? 'no curves'
    runs 'an fp32 run' $net --epochs 1 --out float --format fp32
    reports 'a report of fp32' "" float
    page 'fp32' float
    grep -q '^No errors by layer: all layers are fp32' out
    ok $? 'no errors in fp32'

    # Names that want to be something else
    cp -r "$here/pictures" pictures
    rm -r pictures/*.png pictures/forms
    bad="<b>&amp;\"'</td>--></style><!-- %s%n"
    latin=$(printf 'caf\351 \342\202\254 \346\274\242\345\255\227')
    long=$(printf '%063d' 7)
    for part in train test; do
        mv pictures/$part/dark "pictures/$part/$latin"
        cp -r pictures/$part/light pictures/$part/$long
        mv pictures/$part/light "pictures/$part/$(echo "$bad" | tr / :)"
    done
    runs 'hostile names' $net --epochs 1 --data pictures --out named
    reports 'a report of them' "" named
    page 'hostile names' named
    grep -q '&#60;b&#62;&#38;amp;&#34;&#39;&#60;:td' named/report.html && ! grep -q '<b>&amp' named/report.html
    ok $? 'names are text'
    grep -q '"<b>&amp;""'"'<:td" named/classes.csv
    ok $? 'quotes in CSV'
    LC_ALL=C grep -q 'caf&#233; ' named/report.html
    ok $? 'a name that is no UTF-8'
    [ "$(LC_ALL=C awk '{ gsub(/[\200-\277]/, ""); if (length > 80) print }' out | grep -cv '^result')" = 0 ]
    ok $? 'lines of 80 columns with long names'
    rm -r pictures/train
    reports 'without the training pictures' "" named
    grep -q '^No errors by layer: --data pictures: it has test, but no folder train' out
    ok $? 'says so'

    # No run, or not a whole one
    refused 'no run given' 'which run' report
    refused 'a folder that is not there' 'nowhere: No such file' report nowhere
    mkdir empty
    refused 'an empty folder' 'empty: no run: neither best.mlsck nor last.mlsck' report empty
    mkdir several several/seed1 several/seed2
    cp run/best.mlsck several/seed2
    cp run/best.mlsck several/seed1
    refused 'several runs' 'several has several runs: report one of them, such as several/seed1' report several
    head -c 3000 run/best.mlsck >alone/best.mlsck
    refused 'half a checkpoint' 'alone/best.mlsck: ' report alone
    cp run/best.mlsck alone
    { head -n 1 run/log.jsonl && echo '{"epoch":' && tail -n 1 run/log.jsonl; } >alone/log.jsonl
    refused 'a damaged log' 'alone/log.jsonl: line 2 is damaged' report alone
    head -c 300 run/log.jsonl >alone/log.jsonl
    reports 'a log that is being written' "$accuracy" alone
    [ "$(grep -c . alone/curves.csv)" = 2 ]
    ok $? 'its whole lines'
    refused 'another data set' 'class' report run --data pictures
    rm -f alone/report.html && mkdir alone/report.html
    broken 'a page that cannot be written' 'report.html' mls report alone
}

sums
