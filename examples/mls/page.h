/* page.h - what an HTML page is made of: text, charts in SVG, pictures in PNG, all in one file */
#ifndef PROGRAM_PAGE_H_INCLUDED
#define PROGRAM_PAGE_H_INCLUDED

#include "tables.h"

#ifndef NO_PICTURES
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop
#endif

/* Every tag is closed, so that the page is XML, too. Colours: ink on paper, and of the lines of a chart. */
static const char page_style[] =
    ":root{color-scheme:light dark;--paper:#fff;--ink:#1c1e21;--soft:#5b6068;--line:#d9dce1;"
    "--c0:#1a63c6;--c1:#c2570c;--c2:#23803e;--good:35 128 62;--bad:200 60 20}"
    "@media(prefers-color-scheme:dark){:root{--paper:#15171a;--ink:#e6e8eb;--soft:#a0a6af;"
    "--line:#363a41;--c0:#6ea8ff;--c1:#ff9d4d;--c2:#5fc97e;--good:70 180 105;--bad:240 105 60}}"
    "body{font:16px/1.5 system-ui,sans-serif;background:var(--paper);color:var(--ink);"
    "max-width:62rem;margin:0 auto;padding:1rem 1.5rem 3rem}"
    "h1{font-size:1.7rem;line-height:1.25;margin:1rem 0 .5rem}"
    "h2{font-size:1.25rem;margin:2.5rem 0 .6rem;border-top:1px solid var(--line);padding-top:1rem}"
    "p{max-width:46rem;margin:.5rem 0}.soft,figcaption,small{color:var(--soft)}"
    ".row{display:flex;flex-wrap:wrap;gap:1.5rem}.row figure{flex:1 1 26rem;min-width:0}"
    ".wide{overflow-x:auto}figure{margin:0}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem;margin:.6rem "
    "0}"
    "th,td{padding:.2rem .6rem;text-align:left;border-bottom:1px solid var(--line)}"
    "th{font-weight:600}th.n,td.n{text-align:right;white-space:nowrap}"
    ".name{max-width:18rem;min-width:9rem;overflow-wrap:anywhere}"
    ".bar{min-width:9rem}.bar i{display:block;height:.8rem;background:var(--c0);min-width:1px}"
    ".matrix th,.matrix td{border:1px solid var(--line);padding:.15rem .4rem;text-align:right}"
    ".matrix thead th{vertical-align:bottom;text-align:left}"
    ".matrix thead div{writing-mode:vertical-rl;transform:rotate(180deg);max-height:10rem}"
    ".matrix div{overflow:hidden;text-overflow:ellipsis;white-space:nowrap;max-width:12rem}"
    ".g{background:rgb(var(--good)/var(--s))}.b{background:rgb(var(--bad)/var(--s))}"
    ".chart{max-width:36rem}.sheet{display:flex;flex-wrap:wrap;gap:1rem}.sheet "
    "figure{width:8.5rem;font-size:.85rem;"
    "line-height:1.3;overflow-wrap:anywhere}.sheet img{width:100%;image-rendering:pixelated;"
    "height:auto;display:block;margin-bottom:.3rem;border:1px solid var(--line)}"
    "svg{display:block;width:100%;height:auto}svg text{fill:var(--ink);font:12px "
    "system-ui,sans-serif}"
    "svg .t{fill:var(--soft)}svg .grid{stroke:var(--line);fill:none}svg "
    ".axis{stroke:var(--soft);fill:none}"
    "svg .l0{stroke:var(--c0)}svg .l1{stroke:var(--c1)}svg .l2{stroke:var(--c2)}"
    "svg .l{fill:none;stroke-width:2;stroke-linejoin:round}svg .d0{fill:var(--c0)}"
    "svg .d1{fill:var(--c1)}svg .d2{fill:var(--c2)}svg .mark{stroke:var(--soft);stroke-dasharray:4 "
    "4}"
    "svg .g{background:none;fill:rgb(var(--good)/var(--s))}svg .b{fill:rgb(var(--bad)/var(--s))}"
    "svg.cells{width:auto}svg.cells text{font-size:9px}"
    "@media print{body{max-width:none}h2{break-after:avoid}figure,tr{break-inside:avoid}}";

/* A byte that is no UTF-8 is the character of its number, as in config.json. */
static void add_html(growing *t, const char *text)
{
    static const char special[] = "<>&\"'";
    for (size_t bytes; *text; text += bytes ? bytes : 1) {
        unsigned char c = (unsigned char)*text;
        bytes = utf8(text);
        if (c < ' ' || c == 127) {
            add(t, " ");
        } else if (!bytes || strchr(special, c)) {
            add(t, "&#%d;", c);
        } else {
            append(t, text, bytes);
        }
    }
}

/* The start of a name, for what is narrow: with dots where it is cut. */
static void add_html_cut(growing *t, const char *name, int most)
{
    growing some = {0};
    int count = 0;
    for (; *name && count < most; count++) {
        size_t bytes = utf8(name);
        append(&some, name, bytes ? bytes : 1);
        name += bytes ? bytes : 1;
    }
    if (some.at) add_html(t, some.at);
    if (*name) add(t, "&#8230;");
    t->no_memory |= some.no_memory;
    free(some.at);
}

/* A chart of up to three lines over the same xs. */
typedef struct chart {
    const char *title, *x_name, *unit;
    const char *names[3];
    int lines;
    size_t count;
    const double *x, *y[3]; /* what is not finite is left out */
    double cut;             /* the largest y shown; 0: all */
    double mark;            /* an x with a dashed line; 0: none */
} chart;

enum {
    CHART_W = 460,
    CHART_H = 270,
    CHART_LEFT = 52,
    CHART_RIGHT = 448,
    CHART_TOP = 34,
    CHART_BOTTOM = 226
};

/* 1, 2 or 5 times a power of ten, for about so many steps. */
static double nice_step(double range, double steps)
{
    double step = pow(10, floor(log10(range / steps)));
    if (step * 5 * steps < range) return step * 10;
    return step * 2 * steps < range ? step * 5 : step * steps < range ? step * 2 : step;
}

static double chart_x(const chart *c, double x)
{
    double first = c->x[0], last = c->x[c->count - 1];
    double share = last > first ? (x - first) / (last - first) : 0.5;
    return CHART_LEFT + 8 + share * (CHART_RIGHT - CHART_LEFT - 16);
}

static double chart_y(double y, double top)
{
    return CHART_BOTTOM - fmin(y, top) / top * (CHART_BOTTOM - CHART_TOP);
}

static double chart_most(const chart *c)
{
    double most = 0;
    for (int k = 0; k < c->lines; k++) {
        for (size_t i = 0; i < c->count; i++) {
            if (is_finite(c->y[k][i])) most = fmax(most, c->y[k][i]);
        }
    }
    if (c->cut > 0 && most > c->cut) most = c->cut;
    return most > 0 ? most : 1;
}

static void chart_axes(growing *t, const chart *c, double step, double top)
{
    double first = c->x[0], last = c->x[c->count - 1];
    double x_step = last > first ? fmax(1, nice_step(last - first, 8)) : 1;
    for (double y = 0; y < top + step / 2; y += step) {
        double at = chart_y(y, top);
        add(t, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>", CHART_LEFT, at, CHART_RIGHT);
        add(t, "<text class=\"t\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g%s</text>",
            CHART_LEFT - 6, at + 4, fabs(y) < step / 2 ? 0 : y, c->unit);
    }
    for (double x = ceil(first / x_step) * x_step; x <= last; x += x_step) {
        add(t, "<path class=\"axis\" d=\"M%.1f %dv5\"/>", chart_x(c, x), CHART_BOTTOM);
        add(t, "<text class=\"t\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>",
            chart_x(c, x), CHART_BOTTOM + 19, x);
    }
    add(t, "<path class=\"axis\" d=\"M%d %dH%d\"/>", CHART_LEFT, CHART_BOTTOM, CHART_RIGHT);
    add(t, "<text class=\"t\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>",
        (CHART_LEFT + CHART_RIGHT) / 2, CHART_BOTTOM + 38, c->x_name);
}

/* Its parts where it is interrupted begin with M. */
static void chart_line(growing *t, const chart *c, int k, double top)
{
    bool pen = false;
    add(t, "<path class=\"l l%d\" d=\"", k);
    for (size_t i = 0; i < c->count; i++) {
        bool there = is_finite(c->y[k][i]);
        if (there) {
            add(t, "%c%.1f %.1f", pen ? 'L' : 'M', chart_x(c, c->x[i]), chart_y(c->y[k][i], top));
        }
        pen = there;
    }
    add(t, "\"/>");
    for (size_t i = 0; i < c->count && c->count <= 60; i++) {
        if (!is_finite(c->y[k][i])) continue;
        add(t,
            "<circle class=\"d%d\" r=\"3\" cx=\"%.1f\" cy=\"%.1f\"><title>%g: "
            "%.4g%s</title></circle>",
            k, chart_x(c, c->x[i]), chart_y(c->y[k][i], top), c->x[i], c->y[k][i], c->unit);
    }
}

static void add_chart(growing *t, const chart *c)
{
    double most = chart_most(c), step = nice_step(most, 5), top = ceil(most / step - 1e-9) * step;
    int x = CHART_LEFT;
    add(t, "<figure><figcaption><b>%s</b></figcaption>", c->title);
    add(t, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">", CHART_W, CHART_H,
        c->title);
    for (int k = 0; k < c->lines; k++) {
        add(t, "<path class=\"l l%d\" d=\"M%d 12h22\"/><text x=\"%d\" y=\"16\">%s</text>", k, x,
            x + 28, c->names[k]);
        x += 28 + 8 * (int)strlen(c->names[k]) + 16;
    }
    chart_axes(t, c, step, top);
    if (c->mark > 0) {
        add(t, "<path class=\"mark\" d=\"M%.1f %dV%d\"/>", chart_x(c, c->mark), CHART_TOP,
            CHART_BOTTOM);
    }
    for (int k = 0; k < c->lines; k++) chart_line(t, c, k, top);
    add(t, "</svg></figure>");
}

#ifndef NO_PICTURES
static void add_base64(void *to, void *data, int size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *u = data;
    for (int i = 0; i < size; i += 3) {
        unsigned bits = (unsigned)u[i] << 16, left = (unsigned)(size - i);
        if (left > 1) bits |= (unsigned)u[i + 1] << 8;
        if (left > 2) bits |= u[i + 2];
        char four[4] = {digits[bits >> 18], digits[bits >> 12 & 63], digits[bits >> 6 & 63],
                        digits[bits & 63]};
        if (left < 3) four[3] = '=';
        if (left < 2) four[2] = '=';
        append(to, four, 4);
    }
}

/* Averages of squares of pixels, where a picture is larger than the page shows it. */
static void shrink(const uint8_t *from, int32_t w, int32_t c, int by, int32_t to_h, int32_t to_w,
                   uint8_t *to)
{
    for (int32_t i = 0; i < to_h * to_w * c; i++) {
        int32_t y = i / c / to_w * by, x = i / c % to_w * by, sum = 0;
        for (int k = 0; k < by * by; k++) {
            sum += from[((size_t)(y + k / by) * (size_t)w + (size_t)(x + k % by)) * (size_t)c +
                        (size_t)(i % c)];
        }
        to[i] = (uint8_t)((sum + by * by / 2) / (by * by));
    }
}

/* A test picture, with words for who cannot see it. */
static void add_picture(growing *t, const mls_data *data, int64_t number, const char *name)
{
    enum {
        SHOWN = 136
    };
    const int32_t side = data->h < data->w ? data->h : data->w;
    const int by = side > 2 * SHOWN ? side / SHOWN : 1, h = data->h / by, w = data->w / by;
    const size_t bytes = (size_t)data->h * (size_t)data->w * (size_t)data->c;
    uint8_t *small = malloc((size_t)h * (size_t)w * (size_t)data->c);
    t->no_memory |= !small;
    if (small) {
        shrink(data->pixels + (size_t)number * bytes, data->w, data->c, by, h, w, small);
        add(t, "<img width=\"%d\" height=\"%d\" alt=\"test picture %lld, ", (int)w, (int)h,
            (long long)number);
        add_html(t, name);
        add(t, "\" src=\"data:image/png;base64,");
        t->no_memory |= !stbi_write_png_to_func(add_base64, t, w, h, data->c, small, w * data->c);
        add(t, "\"/>");
    }
    free(small);
}
#else
static void add_picture(growing *t, const mls_data *data, int64_t number, const char *name)
{
    (void)t, (void)data, (void)number, (void)name;
}
#endif

#endif /* PROGRAM_PAGE_H_INCLUDED */
