#!/bin/sh
# predict.sh - what mls predict says of pictures: as many right as mls test, JSON for any name, and a bad
# picture stops no other. From the repository's root; see program.sh.
# shellcheck disable=SC2086 # a list of options
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/program.sh
. "$here/program.sh"

cp -r "$here/pictures" pictures
mls $net --epochs 2 --data pictures --resize --out run >out 2>err
mls test run/last.mlsck >tested 2>err
mls predict run/last.mlsck pictures/test/ >out 2>err
ok $? 'a folder, and those in it'
cp out folder
[ "$(tail -n 1 out)" = 'result pictures=4 bad=0' ] && [ "$(grep -c '^pictures/test/.*: [a-z]* [0-9.]* %$' out)" = 4 ]
ok $? 'a line for each picture, then the result'
right=$(grep -c 'dark/.*: dark \|light/.*: light ' out)
grep -q "^result test_accuracy=$((right * 25)).00 " tested
ok $? 'as many are right as in mls test'
name=$(printf 'pictures/a "b" \\\n\377.png')
cp pictures/test/dark/0.png "$name"
mls predict run "$name" --top 2 --json >out 2>err
ok $? 'a name of any bytes'
[ "$(wc -l <out)" = 1 ] && tail -n 1 err | grep -q '^result pictures=1 bad=0$' &&
    grep -q '^{"file":"pictures/a \\"b\\" \\\\\\u000a\\u00ff.png","class":"[a-z]*","probability":[0-9.e-]*,"top":\[{' out
ok $? 'JSON, a line'
if command -v python3 >/dev/null; then
    python3 -c 'import json
p = json.loads(open("out").read())
assert len(p["top"]) == 2 and p["top"][0]["class"] == p["class"]
assert abs(sum(t["probability"] for t in p["top"]) - 1) < 1e-6' 2>err
    ok $? 'JSON as others read it'
fi
mls predict run/last.mlsck pictures/test/dark/0.png pictures/broken.png none.png pictures/test/light >out 2>err
[ $? = 2 ] && [ "$(tail -n 1 out)" = 'result pictures=3 bad=2' ] && grep -q '^pictures/broken.png: ' err &&
    grep -q '^none.png: ' err && tail -n 1 err | grep -q '^mls: not all pictures'
ok $? 'bad pictures'
grep -v result out >some && grep -vxFf folder some >/dev/null
[ $? = 1 ]
ok $? 'the same alone and in a batch'
refused 'no pictures' 'which pictures' predict run/last.mlsck
refused 'no checkpoint' 'none.mlsck' predict none.mlsck pictures/broken.png
refused 'a folder without a run' 'no run' predict pictures pictures/broken.png
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
