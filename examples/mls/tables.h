/* tables.h - findings as text of 80 columns, and as CSV files */
#ifndef PROGRAM_TABLES_H_INCLUDED
#define PROGRAM_TABLES_H_INCLUDED

#include "findings.h"
#include "plan.h"

enum {
    TEXT_LINES = 20, /* of a table, at most */
    TEXT_COLUMNS = 80,
    TEXT_MISTAKES = 5
};

PRINTF(2, 3) static void add(growing *t, const char *format, ...)
{
    va_list list, again;
    va_start(list, format);
    va_copy(again, list);
    size_t size = (size_t)vsnprintf(NULL, 0, format, list) + 1;
    char *text = malloc(size);
    t->no_memory |= !text;
    if (text) vsnprintf(text, size, format, again), append(t, text, size - 1);
    free(text);
    va_end(again);
    va_end(list);
}

static const char *name_of(const findings *known, int32_t i)
{
    return known->r.job->test.names[i];
}

/* A name in so many characters, for a terminal: cut or filled up; what is no UTF-8, or controls the
   terminal, is a question mark. */
static const char *fit(const char *name, int characters, char room[512])
{
    growing t = {0};
    int count = 0;
    for (; *name && count < characters; count++) {
        size_t bytes = utf8(name);
        bool control = (unsigned char)*name < ' ' || *name == 127 ||
                       (bytes == 2 && name[0] == '\xc2' && (unsigned char)name[1] < 0xa0);
        append(&t, bytes && !control ? name : "?", bytes && !control ? bytes : 1);
        name += bytes ? bytes : 1;
    }
    snprintf(room, 512, "%s%*s", t.at ? t.at : "", characters - count, "");
    free(t.at);
    return room;
}

/* The layer's own name, or what mls_net_formats calls it: conv and linear, with its number among these. */
static const char *layer_name(const findings *known, int32_t node, char room[32])
{
    mls_layer l, other;
    int number = 0;
    mls_net_layer(&known->r.net, node, &l);
    if (l.name[0]) return l.name;
    for (int32_t i = 0; i <= node; i++) {
        number +=
            mls_net_layer(&known->r.net, i, &other) == MLS_OK && strcmp(other.kind, l.kind) == 0;
    }
    snprintf(room, 32, "%s%d", strcmp(l.kind, "convolution") == 0 ? "conv" : l.kind, number);
    return room;
}

/* Null: the operand is not quantized. */
static const cost *cost_of(const findings *known, int32_t node, int operand)
{
    for (int32_t i = 0; i < known->cost_count; i++) {
        const cost *c = &known->costs[i];
        if (c->node == node && c->operand == operand) return c;
    }
    return NULL;
}

static const char *const operand_names[OPERANDS] = {"W",          "A",          "E",
                                                    "W backward", "A gradient", "E gradient"};

/* Within which the share lies that all such pictures would have, in 95 of 100 cases (Wilson). */
static void likely_range(int64_t part, int64_t whole, double *low, double *high)
{
    const double z = 1.96, n = (double)whole, p = (double)part / n, squares = z * z / n;
    const double middle = (p + squares / 2) / (1 + squares);
    const double half = z * sqrt(p * (1 - p) / n + squares / n / 4) / (1 + squares);
    *low = 100 * (middle - half), *high = 100 * (middle + half);
}

/* The class that most pictures of a class were taken for, -1: none was. */
static int32_t often_taken_for(const findings *known, int32_t label)
{
    int32_t most = -1;
    for (int32_t i = 0; i < known->classes; i++) {
        int64_t count = i == label ? 0 : taken_for(known, label, i);
        if (count > (most < 0 ? 0 : taken_for(known, label, most))) most = i;
    }
    return most;
}

/* What the accuracy is, in two or three sentences. */
static void say_accuracy(const findings *known, growing *t)
{
    double low, high;
    likely_range(known->right, known->pictures, &low, &high);
    add(t,
        "Of the %lld test pictures %lld are right: %.2f %%. Always answering the most frequent "
        "class "
        "gets %.2f %%. For all pictures of this kind the accuracy lies between %.1f and %.1f %%, "
        "with "
        "95 %% confidence.",
        (long long)known->pictures, (long long)known->right, percent(known->right, known->pictures),
        guessing(&known->r.job->test), low, high);
    if (known->classes > 10) {
        add(t, " Among the five likeliest answers the right one is found for %.2f %%.",
            percent(known->in_five, known->pictures));
    }
    add(t, " Its answers have a probability of %.1f %% in the mean.", 100 * known->sure);
}

static void say_training(const findings *known, const char *file, growing *t)
{
    const options *o = &known->r.job->o;
    const char *pictures = get(&known->r.job->from, "train_count");
    add(t, "%s of width %lld, trained in %s", o->model, (long long)o->width, o->format);
    if (o->layer_formats) add(t, " (%s)", o->layer_formats);
    if (pictures) add(t, " on %s pictures", pictures);
    add(t, is_built_in(o) ? " that are built in" : " of %s", o->data);
    add(t, ", in batches of %lld at a rate of %g, seed %llu: %s, after %lld of %lld epochs.",
        (long long)o->batch, o->rate, (unsigned long long)o->seed, file,
        (long long)known->r.at.epoch, (long long)o->epochs);
}

/* Which pictures say that an epoch is the best, and which it is. */
static void say_choice(const findings *known, growing *t)
{
    const progress *p = &known->r.at;
    const char *pictures = get(&known->r.job->from, "validation_count");
    if (!get(&known->r.job->from, "best_epoch") || !p->epoch) return;
    if (pictures) {
        add(t, " Epoch %lld is the best by validation: %.2f %% of %s pictures are right.",
            (long long)p->best_epoch, percent(p->best, atoll(pictures)), pictures);
    } else if (p->epoch == p->best_epoch && p->epoch > 1) {
        add(t, " The test pictures chose this epoch, so that its accuracy is a little too good; "
               "--validation leaves that to others.");
    }
}

/* The same for programs, as mls train has it; nothing without validation pictures. */
static void print_choice(const findings *known)
{
    const progress *p = &known->r.at;
    const char *pictures = get(&known->r.job->from, "validation_count");
    if (!pictures) return;
    print_best((double)p->best_epoch, percent(p->best, atoll(pictures)),
               percent(p->best_correct, known->pictures));
    printf(" ");
}

/* The parts that the curves are of. */
static int list_parts(const findings *known, int of[PARTS])
{
    int count = 0;
    for (int i = 0; i < PARTS; i++) {
        const double right = known->points ? known->curve[known->points - 1].right[i] : NAN;
        if (right == right) of[count++] = i;
    }
    return count;
}

/* At most TEXT_LINES epochs, evenly chosen, the last one included. */
static void print_curve(const findings *known)
{
    const int64_t n = known->points, lines = n < TEXT_LINES ? n : TEXT_LINES;
    int of[PARTS], count = list_parts(known, of);
    if (!n) {
        say(stdout, "\nNo curves: %s.", known->no_curve);
        return;
    }
    printf("\n%14s %10s%*s\n%5s %8s", "", "loss", 11 * count, "right, %", "epoch", "rate");
    for (int k = 0; k < 2 * count; k++) printf(" %10s", part_names[of[k % count]]);
    for (int64_t i = 1; i <= lines; i++) {
        const point *p = &known->curve[i * n / lines - 1];
        printf("\n%5lld %8.3g", p->epoch, p->rate);
        for (int k = 0; k < count; k++) printf(" %10.4f", p->loss[of[k]]);
        for (int k = 0; k < count; k++) printf(" %10.2f", p->right[of[k]]);
    }
    printf("\n");
}

static void print_classes(const findings *known)
{
    char room[512], other[512];
    int32_t lines = known->classes < TEXT_LINES ? known->classes : TEXT_LINES;
    printf("\n%s %8s %8s %9s  %s\n", fit("class, the worst first", 26, room), "pictures", "right",
           "", "most often taken for");
    for (int32_t i = 0; i < lines; i++) {
        const about_class *c = &known->by_class[i];
        int32_t most = often_taken_for(known, c->number);
        printf("%s %8lld %8lld %7.2f %%  ", fit(name_of(known, c->number), 26, room),
               (long long)c->pictures, (long long)c->right, percent(c->right, c->pictures));
        if (most >= 0) {
            printf("%s %4lld", fit(name_of(known, most), 17, other),
                   (long long)taken_for(known, c->number, most));
        }
        printf("\n");
    }
    if (lines < known->classes) printf("... all %d in classes.csv\n", (int)known->classes);
}

/* Where it fits. */
static void print_matrix(const findings *known)
{
    char room[512];
    int64_t most = 1;
    int digits = 2;
    for (int32_t i = 0; i < known->classes; i++) {
        for (int32_t j = 0; j < known->classes; j++) {
            if (taken_for(known, i, j) > most) most = taken_for(known, i, j);
        }
    }
    for (int64_t n = most; n >= 10; n /= 10) digits++;
    if (digits < 3 && known->classes > 10) digits = 3;
    if (21 + digits * known->classes > TEXT_COLUMNS) {
        printf("\nThe confusion matrix is in confusion.csv: too wide for a line.\n");
        return;
    }
    printf("\n%s", fit("rows: what it is", 21, room));
    for (int32_t j = 0; j < known->classes; j++) printf("%*d", digits, (int)j);
    printf("  answer\n");
    for (int32_t i = 0; i < known->classes; i++) {
        printf("%3d %s", (int)i, fit(name_of(known, i), 17, room));
        for (int32_t j = 0; j < known->classes; j++) {
            printf("%*lld", digits, (long long)taken_for(known, i, j));
        }
        printf("\n");
    }
}

static void print_confusions(const findings *known)
{
    char a[512], b[512];
    if (known->confusion_count) printf("\n%5s  most frequent mistakes\n", "times");
    for (int i = 0; i < known->confusion_count; i++) {
        const confused *c = &known->confusions[i];
        printf("%5lld  %s taken for %s\n", (long long)c->count,
               fit(name_of(known, c->label), 30, a), fit(name_of(known, c->answer), 30, b));
    }
    if (known->mistake_count) printf("\n%7s  surest mistakes\n", "picture");
    for (int i = 0; i < known->mistake_count && i < TEXT_MISTAKES; i++) {
        const mistake *m = &known->mistakes[i];
        printf("%7lld  %s taken for %s %5.1f %%\n", (long long)m->picture,
               fit(name_of(known, m->label), 25, a), fit(name_of(known, m->answer), 25, b),
               100 * m->sure);
    }
}

/* The three operands of a product: format and mean relative error. */
static void print_cost(const findings *known, int32_t node, int first)
{
    char text[MLS_FORMAT_TEXT];
    for (int o = first; o < first + 3; o++) {
        const cost *c = cost_of(known, node, o);
        if (c)
            printf("  %8s %6.2f %%", short_format(c->format, text, sizeof text),
                   100 * c->report.relative_error);
        if (!c) printf("  %8s %8s", first ? "" : "fp32", "");
    }
    printf("\n");
}

static bool has_second(const findings *known, int32_t node)
{
    return cost_of(known, node, 3) || cost_of(known, node, 4) || cost_of(known, node, 5);
}

static void print_costs(const findings *known)
{
    char name[32];
    mls_layer l;
    if (known->no_costs[0]) {
        say(stdout, "\nNo errors by layer: %s.", known->no_costs);
        return;
    }
    printf("\n%4s %-15s  %8s %8s  %8s %8s  %8s %8s\n", "node", "layer", "W", "error", "A", "error",
           "E", "error");
    for (int32_t i = 0; i < known->r.net.count; i++) {
        if (mls_net_layer(&known->r.net, i, &l) != MLS_OK || !l.macs) continue;
        printf("%4d %-15.15s", (int)i, layer_name(known, i, name));
        print_cost(known, i, 0);
        if (!has_second(known, i)) continue;
        printf("%4s %-15s", "", "  second");
        print_cost(known, i, 3);
    }
    printf("error: mean of |quantized - x| / |x|, in a training step\n");
}

static void print_findings(const findings *known, const char *file)
{
    growing t = {0};
    say_training(known, file, &t);
    if (t.at) say(stdout, "%s", t.at);
    free(t.at);
    t = (growing){0};
    say_accuracy(known, &t), say_choice(known, &t);
    if (t.at) say(stdout, "%s", t.at);
    free(t.at);
    print_curve(known);
    print_classes(known);
    print_matrix(known);
    print_confusions(known);
    print_costs(known);
}

/* As RFC 4180 has it. */
static void add_quoted(growing *t, const char *text)
{
    append(t, "\"", 1);
    for (; *text; text++) append(t, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    append(t, "\"", 1);
}

/* Empty where a number is none. */
static void add_number(growing *t, const char *before, double x)
{
    add(t, "%s", before);
    if (is_finite(x)) add(t, "%.9g", x);
}

static void curves_csv(const findings *known, growing *t)
{
    add(t, "epoch,rate,train_loss,test_loss,train_accuracy,test_accuracy,validation_loss,"
           "validation_accuracy\n");
    for (int64_t i = 0; i < known->points; i++) {
        const point *p = &known->curve[i];
        add(t, "%lld", p->epoch);
        add_number(t, ",", p->rate);
        add_number(t, ",", p->loss[TRAIN_PART]), add_number(t, ",", p->loss[TEST_PART]);
        add_number(t, ",", p->right[TRAIN_PART]), add_number(t, ",", p->right[TEST_PART]);
        add_number(t, ",", p->loss[VALIDATION_PART]);
        add_number(t, ",", p->right[VALIDATION_PART]), add(t, "\n");
    }
}

/* In the order of the classes. precision: of what was taken for it, the share that is. */
static void classes_csv(const findings *known, growing *t)
{
    add(t, "class,name,pictures,right,accuracy,answers,precision\n");
    for (int32_t i = 0; i < known->classes; i++) {
        const about_class *c = known->by_class;
        while (c->number != i) c++;
        add(t, "%d,", (int)i), add_quoted(t, name_of(known, i));
        add(t, ",%lld,%lld", (long long)c->pictures, (long long)c->right);
        add_number(t, ",", c->pictures ? percent(c->right, c->pictures) : NAN);
        add(t, ",%lld", (long long)c->answers);
        add_number(t, ",", c->answers ? percent(c->right, c->answers) : NAN), add(t, "\n");
    }
}

static void confusion_csv(const findings *known, growing *t)
{
    add(t, "true");
    for (int32_t i = 0; i < known->classes; i++) add(t, ","), add_quoted(t, name_of(known, i));
    for (int32_t i = 0; i < known->classes; i++) {
        add(t, "\n"), add_quoted(t, name_of(known, i));
        for (int32_t j = 0; j < known->classes; j++)
            add(t, ",%lld", (long long)taken_for(known, i, j));
    }
    add(t, "\n");
}

static void mistakes_csv(const findings *known, growing *t)
{
    add(t, "picture,true,answer,probability\n");
    for (int i = 0; i < known->mistake_count; i++) {
        const mistake *m = &known->mistakes[i];
        add(t, "%lld,", (long long)m->picture), add_quoted(t, name_of(known, m->label));
        add(t, ","), add_quoted(t, name_of(known, m->answer)), add(t, ",%.6f\n", m->sure);
    }
}

/* W, A and E of every layer, and what else is quantized. */
static void errors_csv(const findings *known, growing *t)
{
    char name[32], text[MLS_FORMAT_TEXT];
    mls_layer l;
    add(t, "node,layer,operand,format,relative_error,snr_db,clipped,flushed,zero_groups\n");
    for (int32_t i = 0; i < known->r.net.count && !known->no_costs[0]; i++) {
        if (mls_net_layer(&known->r.net, i, &l) != MLS_OK || !l.macs) continue;
        for (int o = 0; o < OPERANDS; o++) {
            const cost *c = cost_of(known, i, o);
            if (!c && o >= 3) continue;
            if (c) mls_format_text(c->format, text, sizeof text);
            add(t, "%d,%s,%s,\"%s\"", (int)i, layer_name(known, i, name), operand_names[o],
                c ? text : "fp32");
            if (!c) add(t, ",,,,,\n");
            if (!c) continue;
            const mls_report *r = &c->report;
            add_number(t, ",", r->relative_error), add_number(t, ",", r->snr_db);
            add_number(t, ",", r->clipped), add_number(t, ",", r->flushed);
            add_number(t, ",", r->zero_groups), add(t, "\n");
        }
    }
}

/* Takes the text. */
static bool save_text(const char *folder, const char *name, growing *t, failure *f)
{
    char path[PATH_SIZE + 32], text[PATH_SIZE + 256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    bool good = !t->no_memory || fail(f, 1, "no memory for %s", path);
    if (good && mls_file_save(path, t->at, t->length, text, sizeof text) != MLS_OK) {
        good = fail(f, 2, "%s", text);
    }
    free(t->at);
    return good;
}

static bool save_tables(const findings *known, const char *folder, failure *f)
{
    static const struct {
        const char *name;
        void (*write)(const findings *known, growing *t);
    } files[] = {{"curves.csv", curves_csv},
                 {"classes.csv", classes_csv},
                 {"confusion.csv", confusion_csv},
                 {"mistakes.csv", mistakes_csv},
                 {"errors.csv", errors_csv}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        growing t = {0};
        files[i].write(known, &t);
        if (!save_text(folder, files[i].name, &t, f)) return false;
    }
    return true;
}

#endif /* PROGRAM_TABLES_H_INCLUDED */
