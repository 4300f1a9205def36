# mutants.awk - finds in the headers what mutants.txt breaks. mutants.sh calls it with the headers, the
# tests and the table, in this order, and with
#     mode=list [words=WORDS] [sample=N] [seed=SEED]
#         prints a line for each chosen mutant:
#             line of the table|file|how|unit|function: what it breaks|program test program test...|why
#         Whatever is not in order is said at once, for all of the table; the exit status is 1 then.
#     mode=break line=LINE
#         prints the file of the mutant on this line of the table, broken
#
# A header is cut into pieces: functions, macros, and the declarations of tables, variables and
# constants. They are compared as the words of C, so that white space and comments do not count.

BEGIN {
    comment = "/[*]([^*]|[*]+[^*/])*[*]+/"
    blank = "([ \t\n]|\\\\\n|" comment ")+"
    sign = "(<<=|>>=|<<|>>|->|&&|[|][|]|[+][+]|--|[-+*/%&|^<>=!]=|[^A-Za-z0-9_ ])"
}

FNR == 1 { kind = FILENAME ~ /[.]h$/ ? "header" : FILENAME ~ /[.]c$/ ? "tests" : "table" }
kind == "header" { header_line() }
kind == "tests" { test_line() }
kind == "table" { table_line() }

# ------------------------------------------------------------------------------------------- headers

function header_line(    name) {
    if (FNR == 1) {
        inside = ""
        file = FILENAME
        sub(/.*\//, "", file)
    }
    source[file, FNR] = $0
    lines[file] = FNR

    if (inside == "" && $0 ~ /^#[ ]*define[ ]/) {
        name = $0
        sub(/^#[ ]*define[ ]+/, "", name)
        match(name, /^[A-Za-z0-9_]+/)
        start("macro")
        call_it(substr(name, 1, RLENGTH))
    } else if (inside == "" && $0 ~ /^[A-Za-z_]/ && $0 !~ /^extern "C"/) {
        start("declaration")
    } else if (inside == "declaration" && ($0 == "" || $0 ~ /^#/)) {
        inside = "" # a macro without a semicolon
    }

    if (inside == "declaration" && $0 == "{") {
        call_it(function_name(before))
        inside = "function"
    } else if (inside == "declaration") {
        before = before $0 "\n"
        if ($0 ~ /^[^ ].*[{]$/) inside = "table"
        else if ($0 ~ /;([ ]*\/[*].*)?$/) end_table()
    } else if (inside == "table") {
        before = before $0 "\n"
        if ($0 ~ /^}|[^ ].*};$/) end_table()
    } else if (inside == "function" && $0 ~ /^}/) {
        inside = ""
    }
    if (piece && !last[piece] && inside == "") last[piece] = FNR
    if (inside == "macro" && $0 !~ /\\$/) {
        last[piece] = FNR
        inside = ""
    }
}

function start(what) {
    inside = what
    before = ""
    piece = file ":" FNR
    file_of[piece] = file
    first[piece] = FNR
}

# The piece that was begun last has this name, too.
function call_it(name) {
    if (name == "" || (piece, name) in called) return
    called[piece, name] = 1
    pieces[name] = pieces[name] " " piece
    name_of[piece] = name
}

# What stands before the first list of parameters: the name, or MLS__FN(name).
function function_name(text,    name) {
    gsub(/__attribute__/, "", text)
    while (match(text, /[A-Za-z0-9_]+[(]/)) {
        name = substr(text, RSTART, RLENGTH - 1)
        text = substr(text, RSTART + RLENGTH)
        if (name != "MLS__FN") return name
        match(text, /^[A-Za-z0-9_]+[)]/)
        name = substr(text, 1, RLENGTH - 1)
        text = substr(text, RLENGTH + 1)
        if (text ~ /^[(]/) return name
    }
    return ""
}

# A table, a variable, constants: what "=" or "[" follows is a name.
function end_table(    text, name) {
    text = before
    gsub(comment, "", text)
    while (match(text, /[A-Za-z0-9_]+( =|\[)/)) {
        name = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + RLENGTH)
        sub(/( =|\[)$/, "", name)
        call_it(name)
    }
    inside = ""
}

function text_of(piece,    i, text) {
    for (i = first[piece]; i <= last[piece]; i++) text = text source[file_of[piece], i] "\n"
    return text
}

# " word word word "; comments and white space do not count.
function words_of(text) {
    gsub(blank, " ", text)
    gsub(sign, " & ", text)
    gsub(/ +/, " ", text)
    sub(/^ */, " ", text)
    sub(/ *$/, " ", text)
    return text
}

# How often the words stand in the piece, without overlap; where[n]: words before the n-th time.
function count_in(piece, broken, where,    text, at, words, skipped, n) {
    if (!(piece in cached)) cached[piece] = words_of(text_of(piece))
    text = cached[piece]
    while ((at = index(text, broken)) > 0) {
        words = substr(text, 1, at)
        where[++n] = skipped + gsub(/ /, "", words) - 1
        words = broken
        skipped = where[n] + gsub(/ /, "", words) - 1
        text = substr(text, at + length(broken) - 1)
    }
    return n + 0
}

# --------------------------------------------------------------------------------------------- tests

function test_line(    rest, name, program) {
    # tests/test_conv.c and all of tests/conv/ are one program
    program = FILENAME
    if (sub(/^.*tests\/test_/, "", program)) sub(/[.]c$/, "", program)
    else { sub(/\/[^\/]*$/, "", program); sub(/^.*\//, "", program) }
    program = "test_" program
    rest = $0
    while (match(rest, /T_TEST[(][A-Za-z0-9_]+[)]/)) {
        name = substr(rest, RSTART + 7, RLENGTH - 8)
        if (program_of[name] && program_of[name] != program) {
            table = FILENAME
            complain(FNR, name " is also a test of " program_of[name])
        }
        program_of[name] = program
        rest = substr(rest, RSTART + RLENGTH)
    }
}

# --------------------------------------------------------------------------------------------- table

function table_line(    i) {
    table = FILENAME
    if ($0 ~ /^#/ || $0 == "") return
    if (match($0, /^[A-Za-z0-9_]+( [0-9]+\/[0-9]+)?: /) && (i = index($0 " ", " => "))) {
        row[++rows] = at = FNR
        function_of[at] = $1
        sub(/:$/, "", function_of[at])
        which[at] = $1 ~ /:$/ ? "1/1" : $2
        sub(/:$/, "", which[at])
        from[at] = substr($0, RLENGTH + 1, i - RLENGTH - 1)
        to[at] = substr($0, i + 4)
    } else if (rows && $0 ~ /^    = /) {
        why[at] = why[at] substr($0, 6 + !why[at])
    } else if (rows && !(at in title) && $0 ~ /^    [^ ].* [|] [^|]*$/) {
        i = index($0, " | ")
        title[at] = substr($0, 5, i - 5)
        promise[at] = substr($0, i + 3)
    } else {
        complain(FNR, "this is no mutant: see how they are written at the top")
    }
}

function complain(line, text,    about) {
    if (line in title) about = function_of[line] ": " title[line] ": "
    print table ":" line ": " about text >"/dev/stderr"
    wrong++
}

# Whether what the mutant breaks is there: in found_piece, after found_after words of it.
function find(line,    list, count, all, i, j, k, n, words, where, text, name, elsewhere,
    others) {
    split(which[line], k, "/")
    words = words_of(from[line])
    count = split(pieces[function_of[line]], list, " ")
    for (i = 1; i <= count; i++) {
        n = count_in(list[i], words, where)
        for (j = 1; j <= n; j++) {
            if (++all != k[1]) continue
            found_piece = list[i]
            found_after = where[j]
        }
    }
    if (all == k[2] && k[1] >= 1 && k[1] <= all) return 1
    text = "looked for `" from[line] "`, "
    if (!count) text = text "and the function is nowhere"
    else text = text "which is there " all + 0 " times, not " k[2]
    for (name in last) {
        if (all || !count_in(name, words, where)) continue
        elsewhere = elsewhere "; found in " name_of[name] " at " name
        others++
    }
    complain(line, text (others <= 3 ? elsewhere : ""))
    return 0
}

# How it is built, what the CPU must have, and the tests.
function read_promise(line,    word, n, i) {
    how = "whole"
    unit = tests = ""
    n = split(promise[line], word, " ")
    for (i = 1; i <= n; i++) {
        if (word[i] ~ /^(plain|tiles)$/) how = word[i]
        else if (word[i] ~ /^(vectors|sse41|avx2|avx512vnni)$/) unit = word[i]
        else if (word[i] in program_of) tests = tests " " program_of[word[i]] " " word[i]
        else complain(line, "there is no test " word[i])
    }
    if (n <= (how != "whole") + (unit != "")) complain(line, "no test is named")
    if (how == "tiles") unit = "avx512vnni"
}

function wanted(line,    word, n, i) {
    n = split(words, word, " ")
    for (i = 1; i <= n; i++) {
        if (index(file_of[found_piece] " " function_of[line] " " promise[line], word[i])) return 1
    }
    return !n
}

# The same numbers everywhere, below 1.
function random() {
    state = state * 16807 % 2147483647
    return state / 2147483647
}

function list(    i, line, n, left, chosen) {
    for (i = 1; i <= rows; i++) {
        line = row[i]
        if (!(line in title)) complain(line, "its second line is missing")
        read_promise(line)
        if (!find(line) || !wanted(line)) continue
        chosen[++n] = line "|" file_of[found_piece] "|" how "|" unit "|" \
            function_of[line] ": " title[line] "|" substr(tests, 2) "|" why[line]
    }
    state = seed % 2147483646 + 1
    for (i = 1; i <= 10; i++) { # seeds that are close become samples that are not
        state = (state * 16807 + (state % 46341) * (state % 46341)) % 2147483646 + 1
    }
    left = sample && sample < n ? sample : n
    for (i = 1; i <= n; i++) {
        if (random() * (n - i + 1) >= left) continue
        left--
        print chosen[i]
    }
}

# The text from its n-th word on; the length of what was passed over is in passed.
function skip_words(text, n) {
    passed = 0
    while (n > 0 && text != "") {
        if (!match(text, "^" blank)) {
            match(text, "^([A-Za-z0-9_]+|" sign ")")
            n--
        }
        passed += RLENGTH
        text = substr(text, RLENGTH + 1)
    }
    return text
}

function print_broken(    text, rest, words, i, head) {
    if (!(line in function_of) || !find(line)) exit 1
    file = file_of[found_piece]
    text = text_of(found_piece)
    rest = skip_words(text, found_after)
    if (match(rest, "^" blank)) passed += RLENGTH
    head = substr(text, 1, passed)
    words = words_of(from[line])
    rest = skip_words(substr(text, passed + 1), gsub(/ /, "", words) - 1)
    for (i = 1; i < first[found_piece]; i++) print source[file, i]
    printf "%s%s%s", head, to[line], rest
    for (i = last[found_piece] + 1; i <= lines[file]; i++) print source[file, i]
}

END {
    if (mode == "break") print_broken()
    else list()
    exit wrong > 0
}
