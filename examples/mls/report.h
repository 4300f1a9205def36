/* report.h - mls report: what a run has learnt, as a page, as text and as CSV files */
#ifndef PROGRAM_REPORT_H_INCLUDED
#define PROGRAM_REPORT_H_INCLUDED

#include "folder.h"
#include "page.h"

/* The checkpoint of a run's folder, and the folder of a checkpoint. */
static bool choose_checkpoint(job *j, failure *f)
{
    static const char *const names[] = {"best.mlsck", "last.mlsck"};
    const char *path = j->o.checkpoint;
    size_t length = strlen(path);
    if (length >= PATH_SIZE - 64) return fail(f, 2, "%.40s...: the name is too long", path);
    if (!is_directory(path)) {
        while (length && !is_separator(path[length - 1])) length--;
        snprintf(j->out, sizeof j->out, "%.*s", length ? (int)length : 1, length ? path : ".");
        return true;
    }
    snprintf(j->out, sizeof j->out, "%s", path);
    for (int i = 0; i < 2; i++) {
        snprintf(j->checkpoint, sizeof j->checkpoint, "%s/%s", path, names[i]);
        if (!is_file(j->checkpoint)) continue;
        j->o.checkpoint = j->checkpoint;
        return true;
    }
    DIR *dir = opendir(path);
    char known[PATH_SIZE + 300] = "";
    for (const struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        char run_folder[PATH_SIZE + 300];
        snprintf(run_folder, sizeof run_folder, "%s/%s", path, e->d_name);
        if (e->d_name[0] == '.' || !exists(run_folder, names[0])) continue;
        if (!known[0] || strcmp(run_folder, known) < 0) memcpy(known, run_folder, sizeof known);
    }
    if (dir) closedir(dir);
    if (known[0])
        return fail(f, 2, "%s has several runs: report one of them, such as %.*s", path, PATH_SIZE,
                    known);
    return fail(f, 2, "%s: no run: neither best.mlsck nor last.mlsck in it", path);
}

static void page_head(const findings *known, const char *file, growing *t)
{
    growing words = {0};
    add(t,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/><meta name=\"viewport\" "
        "content=\"width=device-width,initial-scale=1\"/><title>%.2f %%: ",
        percent(known->right, known->pictures));
    add_html(t, known->r.job->o.model);
    add(t, "</title><style>%s</style></head><body>\n", page_style);
    add(t, "<h1>%.2f %% of the test pictures are right</h1><p>",
        percent(known->right, known->pictures));
    say_accuracy(known, &words), say_choice(known, &words);
    add_html(t, words.at ? words.at : "");
    free(words.at);
    words = (growing){0};
    say_training(known, file, &words);
    add(t, "</p><p>What was trained: ");
    add_html(t, words.at ? words.at : "");
    free(words.at);
    add(t, " Digest <code>%016llx</code>.</p>\n",
        (unsigned long long)mls_net_digest(&known->r.net));
}

/* The loss or the right answers of each part, over the epochs; loss: what is not finite is left out. */
static void page_curve(const findings *known, bool loss, growing *t)
{
    const size_t n = (size_t)known->points;
    double *room = malloc((PARTS + 1) * n * sizeof *room);
    chart c = {.title = loss ? "Loss" : "Right answers", .x_name = "epoch"};
    int of[PARTS];
    t->no_memory |= !room;
    c.unit = loss ? "" : " %", c.count = n, c.x = room, c.lines = list_parts(known, of);
    c.cut = loss ? 4 * guessing_loss(&known->r) : 0, c.mark = (double)known->r.at.epoch;
    for (size_t i = 0; room && i < n; i++) room[i] = (double)known->curve[i].epoch;
    for (int k = 0; room && k < c.lines; k++) {
        double *y = room + (size_t)(k + 1) * n;
        c.names[k] = part_names[of[k]], c.y[k] = y;
        for (size_t i = 0; i < n; i++) {
            const point *p = &known->curve[i];
            y[i] = loss ? p->loss[of[k]] : p->right[of[k]];
            if (y[i] > 1e300) y[i] = NAN; /* what the log says of such a loss */
        }
    }
    if (room) add_chart(t, &c);
    free(room);
}

static void page_curves(const findings *known, growing *t)
{
    add(t, "<h2>Curves</h2>");
    if (!known->points) {
        add(t, "<p>None: "), add_html(t, known->no_curve), add(t, ".</p>\n");
        return;
    }
    add(t, "<div class=\"row\">");
    page_curve(known, true, t), page_curve(known, false, t);
    add(t,
        "</div><p class=\"soft\">The dashed line is the epoch of this checkpoint, %lld. Training "
        "figures are of an epoch's batches as they are trained on, the others of its end.</p>\n",
        (long long)known->r.at.epoch);
}

static void page_classes(const findings *known, growing *t)
{
    add(t, "<h2>Classes</h2><p>The worst first. Answers are the pictures that were taken for the "
           "class, "
           "precision is the share of them that are.</p><div "
           "class=\"wide\"><table><thead><tr><th>class</th>"
           "<th class=\"n\">pictures</th><th class=\"n\">right</th><th class=\"n\">accuracy</th>"
           "<th>0 to 100 %%</th><th class=\"n\">answers</th><th class=\"n\">precision</th>"
           "<th>most often taken for</th></tr></thead><tbody>\n");
    for (int32_t i = 0; i < known->classes; i++) {
        const about_class *c = &known->by_class[i];
        const double accuracy = percent(c->right, c->pictures);
        int32_t most = often_taken_for(known, c->number);
        add(t, "<tr><th class=\"name\" scope=\"row\">"), add_html(t, name_of(known, c->number));
        add(t, "</th><td class=\"n\">%lld</td><td class=\"n\">%lld</td>", (long long)c->pictures,
            (long long)c->right);
        add(t, "<td class=\"n\">%.1f %%</td><td class=\"bar\"><i style=\"width:%.1f%%\"></i></td>",
            accuracy, accuracy);
        add(t, "<td class=\"n\">%lld</td><td class=\"n\">%.1f %%</td><td class=\"name\">",
            (long long)c->answers, percent(c->right, c->answers));
        if (most >= 0) {
            add_html(t, name_of(known, most));
            add(t, ", %lld", (long long)taken_for(known, c->number, most));
        }
        add(t, "</td></tr>\n");
    }
    add(t, "</tbody></table></div>\n");
}

/* How dark a cell is: by the root of its share of the row, so that what is rare can be seen. */
static double shade(const findings *known, int32_t label, int32_t answer)
{
    int64_t all = 0;
    for (int32_t j = 0; j < known->classes; j++) all += taken_for(known, label, j);
    return all ? 0.65 * sqrt((double)taken_for(known, label, answer) / (double)all) : 0;
}

static void matrix_table(const findings *known, growing *t)
{
    add(t, "<div class=\"wide\"><table class=\"matrix\"><thead><tr><th><small>is &#8595; answer "
           "&#8594;</small></th>");
    for (int32_t j = 0; j < known->classes; j++) {
        add(t, "<th scope=\"col\"><div>"), add_html(t, name_of(known, j)), add(t, "</div></th>");
    }
    add(t, "</tr></thead><tbody>\n");
    for (int32_t i = 0; i < known->classes; i++) {
        add(t, "<tr><th scope=\"row\"><div>"), add_html(t, name_of(known, i)),
            add(t, "</div></th>");
        for (int32_t j = 0; j < known->classes; j++) {
            long long count = (long long)taken_for(known, i, j);
            if (!count) add(t, "<td></td>");
            if (count) {
                add(t, "<td class=\"%c\" style=\"--s:%.2f\">%lld</td>", i == j ? 'g' : 'b',
                    shade(known, i, j), count);
            }
        }
        add(t, "</tr>\n");
    }
    add(t, "</tbody></table></div>\n");
}

/* Of many classes: squares, whose counts are shown where the pointer rests, and in confusion.csv. */
static void matrix_cells(const findings *known, growing *t)
{
    const int cell = 12, left = 150, side = cell * known->classes;
    add(t,
        "<div class=\"wide\"><svg class=\"cells\" width=\"%d\" height=\"%d\" role=\"img\" "
        "aria-label=\"confusion matrix\">",
        left + side + 1, left + side + 1);
    for (int32_t i = 0; i < known->classes; i++) {
        int at = left + i * cell;
        add(t, "<path class=\"grid\" d=\"M%d %dh%dM%d %dv%d\"/>", left, at, side, at, left, side);
        add(t, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", left - 4, at + 9);
        add_html_cut(t, name_of(known, i), 24);
        add(t, "</text><text transform=\"translate(%d %d)rotate(-90)\">", at + 9, left - 4);
        add_html_cut(t, name_of(known, i), 24), add(t, "</text>\n");
    }
    for (int32_t i = 0; i < known->classes; i++) {
        for (int32_t j = 0; j < known->classes; j++) {
            if (!taken_for(known, i, j)) continue;
            add(t,
                "<rect class=\"%c\" style=\"--s:%.2f\" x=\"%d\" y=\"%d\" width=\"%d\" "
                "height=\"%d\"><title>",
                i == j ? 'g' : 'b', shade(known, i, j), left + j * cell, left + i * cell, cell,
                cell);
            add(t, "%lld: ", (long long)taken_for(known, i, j)), add_html(t, name_of(known, i));
            add(t, " taken for "), add_html(t, name_of(known, j)), add(t, "</title></rect>\n");
        }
    }
    add(t, "</svg></div>\n");
}

static void page_matrix(const findings *known, growing *t)
{
    enum {
        TABLE_CLASSES = 40
    };
    add(t, "<h2>Confusion matrix</h2><p>Rows are what the pictures are, columns what they were "
           "taken for. "
           "Green is right, red is wrong; the darker, the larger a part of its row.</p>\n");
    if (known->classes <= TABLE_CLASSES) matrix_table(known, t);
    if (known->classes > TABLE_CLASSES) matrix_cells(known, t);
    if (!known->confusion_count) return;
    add(t, "<table><thead><tr><th class=\"n\">times</th><th>is</th><th>was taken "
           "for</th></tr></thead><tbody>\n");
    for (int i = 0; i < known->confusion_count; i++) {
        const confused *c = &known->confusions[i];
        add(t, "<tr><td class=\"n\">%lld</td><td class=\"name\">", (long long)c->count);
        add_html(t, name_of(known, c->label)), add(t, "</td><td class=\"name\">");
        add_html(t, name_of(known, c->answer)), add(t, "</td></tr>\n");
    }
    add(t, "</tbody></table>\n");
}

static void page_mistakes(const findings *known, growing *t)
{
    add(t, "<h2>Surest mistakes</h2>");
    if (!known->mistake_count) add(t, "<p>There is no mistake.</p>\n");
    if (known->mistake_count) {
        add(t, "<p>The wrong answers of the highest probability: what the picture was taken for, "
               "with that "
               "probability, and what it is.</p><div class=\"sheet\">\n");
    }
    for (int i = 0; i < known->mistake_count; i++) {
        const mistake *m = &known->mistakes[i];
        add(t, "<figure>");
        add_picture(t, &known->r.job->test, m->picture, name_of(known, m->label));
        add(t, "<b>"), add_html(t, name_of(known, m->answer));
        add(t, "</b> %.1f&#160;%%<br/>is ", 100 * m->sure), add_html(t, name_of(known, m->label));
        add(t, "<br/><small>picture %lld</small></figure>\n", (long long)m->picture);
    }
    if (known->mistake_count) add(t, "</div>\n");
}

static void cost_cells(const findings *known, int32_t node, int first, growing *t)
{
    char text[MLS_FORMAT_TEXT];
    for (int o = first; o < first + 3; o++) {
        const cost *c = cost_of(known, node, o);
        if (!c) add(t, "<td>%s</td><td></td><td></td><td></td>", first ? "" : "fp32");
        if (!c) continue;
        mls_format_text(c->format, text, sizeof text);
        add(t, "<td title=\"%s\">%s</td>", text, short_format(c->format, text, sizeof text));
        add(t, "<td class=\"n\">%.2f %%</td><td class=\"n\">%.1f</td><td class=\"n\">%.1f %%</td>",
            100 * c->report.relative_error, c->report.snr_db, 100 * c->report.flushed);
    }
}

static void cost_rows(const findings *known, growing *t)
{
    char name[32];
    mls_layer l;
    for (int32_t i = 0; i < known->r.net.count; i++) {
        if (mls_net_layer(&known->r.net, i, &l) != MLS_OK || !l.macs) continue;
        add(t, "<tr><td class=\"n\">%d</td><th scope=\"row\">%s</th>", (int)i,
            layer_name(known, i, name));
        cost_cells(known, i, 0, t), add(t, "</tr>\n");
        if (!has_second(known, i)) continue;
        add(t, "<tr><td></td><td><small>second product</small></td>"), cost_cells(known, i, 3, t),
            add(t, "</tr>\n");
    }
}

/* The three roles in their first product, over the nodes. */
static void cost_chart(const findings *known, growing *t)
{
    const size_t n = (size_t)known->r.net.count;
    double *room = malloc(4 * n * sizeof *room), *x = room, *y = room + n;
    size_t count = 0;
    mls_layer l;
    t->no_memory |= !room;
    for (size_t i = 0; room && i < n; i++) {
        if (mls_net_layer(&known->r.net, (int32_t)i, &l) != MLS_OK || !l.macs) continue;
        x[count] = (double)i;
        for (int o = 0; o < 3; o++) {
            const cost *c = cost_of(known, (int32_t)i, o);
            y[(size_t)o * n + count] = c ? 100 * c->report.relative_error : NAN;
        }
        count++;
    }
    chart c = {"Mean relative error",
               "node",
               " %",
               {"W, weights", "A, activations", "E, errors"},
               3,
               count,
               x,
               {y, y + n, y + 2 * n},
               0,
               0};
    if (room) add_chart(t, &c);
    free(room);
}

static void page_costs(const findings *known, growing *t)
{
    add(t, "<h2>Quantization by layer</h2>");
    if (known->no_costs[0]) {
        add(t, "<p>None: "), add_html(t, known->no_costs), add(t, ".</p>\n");
        return;
    }
    add(t,
        "<p>What rounding to the format costs weights W, activations A and errors E in a "
        "training step: "
        "the mean of |quantized &#8722; x| / |x|, the ratio of signal and noise in dB, and the "
        "share of "
        "numbers that became 0. Numbers that are rounded at random, as errors are by default, are "
        "right in the mean: small ones become 0 or several times as large. Layers are drawn at the "
        "number of their node.</p><div class=\"chart\">");
    cost_chart(known, t);
    add(t, "</div><div class=\"wide\"><table><thead><tr><th class=\"n\">node</th><th>layer</th>");
    for (int o = 0; o < 3; o++) {
        add(t,
            "<th>%s</th><th class=\"n\">error</th><th class=\"n\">dB</th><th class=\"n\">to 0</th>",
            operand_names[o]);
    }
    add(t, "</tr></thead><tbody>\n");
    cost_rows(known, t);
    add(t, "</tbody></table></div>\n");
}

static void page_settings(const findings *known, growing *t)
{
    const settings *from = &known->r.job->from;
    add(t, "<h2>Settings</h2><p>As the checkpoint has them.</p><table><tbody>\n");
    for (size_t i = 0; i < from->count; i++) {
        if (strncmp(from->of[i].key, "class_", 6) == 0) continue;
        add(t, "<tr><th scope=\"row\">"), add_html(t, from->of[i].key),
            add(t, "</th><td class=\"name\">");
        add_html(t, from->of[i].value), add(t, "</td></tr>\n");
    }
    add(t,
        "</tbody></table>\n<p class=\"soft\">The same figures are in curves.csv, classes.csv, "
        "confusion.csv, "
        "mistakes.csv and errors.csv beside this page. Made by mls %s.</p></body></html>\n",
        MLS_VERSION_STRING);
}

static bool save_page(const findings *known, const char *folder, const char *file, failure *f)
{
    growing t = {0};
    page_head(known, file, &t);
    page_curves(known, &t);
    page_classes(known, &t);
    page_matrix(known, &t);
    page_mistakes(known, &t);
    page_costs(known, &t);
    page_settings(known, &t);
    return save_text(folder, "report.html", &t, f);
}

static bool report(const job *j, failure *f)
{
    static findings known;
    const options *o = &j->o;
    bool good =
        open_run(&known.r, j, o->format, o->seed, f) && load_run(&known.r, o->checkpoint, EVAL, f);
    if (good) announce(&known.r);
    good = good && find_answers(&known, f) && find_curve(&known, j->out, f);
    if (good) find_costs(&known);
    good = good && save_tables(&known, j->out, f) && save_page(&known, j->out, o->checkpoint, f);
    if (good) {
        print_findings(&known, o->checkpoint);
        printf("result accuracy=%.2f ", percent(known.right, known.pictures));
        print_choice(&known);
        printf("report=%s/report.html\n", j->out);
    }
    free_findings(&known);
    return good;
}

#endif /* PROGRAM_REPORT_H_INCLUDED */
