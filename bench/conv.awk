# conv.awk - the table of bench_conv --plot as a picture: bars for the layers, a chart for each direction.
#   awk -v machine='one thread of a ...' -f bench/conv.awk build/conv.txt >build/conv.svg
# The table has a line for each direction and layer, and their mean: four speeds and two peaks, in GMAC/s.

NR > 1 {
    if (!($1 in layers)) directions[++charts] = $1
    i = ++layers[$1]
    layer[i] = $2
    for (k = 1; k <= 6; k++) {
        speed[$1, i, k] = $(k + 2)
        if ($(k + 2) > most) most = $(k + 2)
    }
}

function number(name, letter) {
    return match(name, letter "[0-9]+") ? substr(name, RSTART + 1, RLENGTH - 1) : ""
}

# n128c16h32k32r3s2 in two lines of words
function words(name, which) {
    if (name == "mean") return which == 1 ? "mean" : ""
    if (which == 2) return number(name, "c") "→" number(name, "k")
    return number(name, "h") "×" number(name, "h") (number(name, "s") > 1 ? " /" number(name, "s") : "")
}

function text(x, y, class, what) {
    printf "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">%s</text>\n", x, y, class, what
}

function height(gmacs) { return gmacs / most * HIGH }

function line(y, class, to) { printf "<path class=\"%s\" d=\"M%d %.1fH%d\"/>\n", class, LEFT, y, to }

function colours(paper, ink, soft, grid, b1, b2, b3, b4) {
    return ".paper{fill:" paper "}text{fill:" ink "}.peak{stroke:" ink "}.s{fill:" soft "}.grid{stroke:" grid \
        "}.b1{fill:" b1 "}.b2{fill:" b2 "}.b3{fill:" b3 "}.b4{fill:" b4 "}"
}

function head(all, k, x) {
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" ", WIDTH, all
    print "aria-label=\"speed of convolutions\">\n<style>text{font:13px system-ui,sans-serif}.t{font-size:17px;font-weight:600}"
    print ".h{font-weight:600}.s{font-size:11px}.m{text-anchor:middle}.e{text-anchor:end}.peak{stroke-dasharray:6 4}"
    print colours("#fff", "#1c1e21", "#5b6068", "#d9dce1", "#1a63c6", "#9cc3f5", "#c2570c", "#eec19b")
    print "@media(prefers-color-scheme:dark){"
    print colours("#15171a", "#e6e8eb", "#a0a6af", "#363a41", "#6ea8ff", "#2f5488", "#ff9d4d", "#7d4a20") "}</style>"
    printf "<rect class=\"paper\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n", WIDTH, all
    text(16, 28, "t", "3×3 convolutions of ResNets, billions of multiply-adds a second")
    text(WIDTH - 14, 28, "s e", machine)
    split("MLS, 8-bit integers|MLS, fp32|oneDNN, int8 (backward: bf16)|oneDNN, fp32", names, "|")
    for (k = x = 0; k++ < 4; x += 42 + 7 * length(names[k])) {
        printf "<rect class=\"b%d\" x=\"%d\" y=\"44\" width=\"14\" height=\"14\"/>", k, x + 16
        text(x + 36, 56, "", names[k])
    }
    printf "<path class=\"peak\" d=\"M%d 51h26\"/>", x + 16
    text(x + 48, 56, "", "peak of the processor")
}

function bars(d, i, x, bottom, bar, k, mean) {
    mean = layer[i] == "mean"
    for (k = 1; k <= 4; k++) {
        if (speed[d, i, k] <= 0) continue
        printf "<rect class=\"b%d\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", k, x + (k - 1) * bar,
            bottom - height(speed[d, i, k]), bar - 1, height(speed[d, i, k])
        if (mean) text(x + (k - 0.5) * bar, bottom - height(speed[d, i, k]) - 3, "s m", sprintf("%.0f", speed[d, i, k]))
    }
    text(x + 2 * bar, bottom + 14, mean ? "h m" : "s m", words(layer[i], 1))
    text(x + 2 * bar, bottom + 27, "s m", words(layer[i], 2))
}

function chart(d, top, bottom, step, v, each, i, k) {
    text(16, top - 14, "h", title[d])
    bottom = top + HIGH
    step = most > 2000 ? 1000 : most > 500 ? 200 : most > 100 ? 50 : 10
    for (v = 0; v <= most; v += step) {
        line(bottom - height(v), "grid", WIDTH - 14)
        text(LEFT - 6, bottom - height(v) + 4, "s e", v)
    }
    each = (WIDTH - 14 - LEFT) / layers[d]
    for (i = 1; i <= layers[d]; i++) bars(d, i, LEFT + (i - 0.9) * each, bottom, each / 5)
    for (k = 5; k <= 6; k++) { # up to the mean, which has numbers there
        v = height(speed[d, layers[d], k])
        if (v > 0) line(bottom - v, "peak", WIDTH - 14 - each)
    }
}

END {
    WIDTH = 1000; LEFT = 52; HIGH = 150
    title["forward"] = "Forward"
    title["backward-data"] = "Backward: errors"
    title["backward-weight"] = "Backward: gradients of the weights"
    head(104 + charts * (HIGH + 66))
    for (c = 1; c <= charts; c++) chart(directions[c], 104 + (c - 1) * (HIGH + 66))
    text(LEFT, 94 + charts * (HIGH + 66), "s", "A layer: height × width (/2: every second pixel), channels before → " \
        "after. Peaks are those of 8-bit products and of fp32; a higher clock passes them.")
    print "</svg>"
}
