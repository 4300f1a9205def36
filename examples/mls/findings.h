/* findings.h - what is to be known of a trained network: which classes it takes for which, its worst
   mistakes, how training went, what quantization costs each layer */
#ifndef PROGRAM_FINDINGS_H_INCLUDED
#define PROGRAM_FINDINGS_H_INCLUDED

#include "plot.h"
#include "train.h"

enum {
    MISTAKES = 24,   /* that are shown */
    CONFUSIONS = 10, /* pairs of classes */
    OPERANDS = 6     /* of a convolution, in the order of mls_formats */
};

typedef struct mistake {
    int64_t picture;
    int32_t label, answer;
    double sure; /* probability of the answer */
} mistake;

typedef struct confused {
    int32_t label, answer;
    int64_t count;
} confused;

/* Of a class. */
typedef struct about_class {
    int32_t number;
    int64_t pictures, right, answers; /* answers: pictures that were taken for it */
} about_class;

/* What quantization costs an operand of a layer. */
typedef struct cost {
    int32_t node, operand;
    mls_format format;
    mls_report report;
} cost;

typedef struct findings {
    run r;
    int32_t classes;
    int64_t pictures, right, in_five; /* in_five: the label is among the five likeliest answers */
    double loss, sure;                /* means: sure is the probability of the answers */
    int64_t *matrix;                  /* [classes][classes]: rows labels, columns answers */
    about_class *by_class;            /* the worst first */
    confused confusions[CONFUSIONS];  /* the most frequent first */
    int confusion_count;
    mistake mistakes[MISTAKES]; /* the surest first */
    int mistake_count;
    point *curve;
    int64_t points;
    cost *costs; /* by node and operand */
    int32_t cost_count;
    bool no_memory;
    char no_curve[PATH_SIZE + 64],
        no_costs[PATH_SIZE + 512]; /* why there are none; empty: there are */
} findings;

static void free_findings(findings *known)
{
    close_run(&known->r);
    free(known->matrix), free(known->by_class), free(known->curve), free(known->costs);
}

static int64_t taken_for(const findings *known, int32_t label, int32_t answer)
{
    return known->matrix[(size_t)label * (size_t)known->classes + (size_t)answer];
}

/* Keeps the surest mistakes, the first pictures where several are as sure. */
static void note_mistake(findings *known, mistake m)
{
    int at = known->mistake_count;
    while (at > 0 && known->mistakes[at - 1].sure < m.sure) at--;
    if (at == MISTAKES) return;
    if (known->mistake_count < MISTAKES) known->mistake_count++;
    for (int i = known->mistake_count - 1; i > at; i--) known->mistakes[i] = known->mistakes[i - 1];
    known->mistakes[at] = m;
}

/* A picture and its scores, one for each class. The answer is the first of the largest, as in the library. */
static void note_answer(findings *known, int64_t picture, int32_t label, const float *scores)
{
    mistake m = {picture, label, 0, 0};
    double sum = 0;
    int above = 0;
    for (int32_t i = 1; i < known->classes; i++) {
        if (scores[i] > scores[m.answer]) m.answer = i;
    }
    for (int32_t i = 0; i < known->classes; i++) {
        sum += exp((double)scores[i] - (double)scores[m.answer]);
        above += scores[i] > scores[label] || (scores[i] == scores[label] && i < label);
    }
    m.sure = 1 / sum;
    known->matrix[(size_t)label * (size_t)known->classes + (size_t)m.answer]++;
    known->in_five += above < 5, known->sure += m.sure;
    if (m.answer != label) note_mistake(known, m);
}

static void note_batch(void *user, const run *r, int64_t first, int32_t count)
{
    findings *known = user;
    const float *scores = mls_net_logits(&r->net);
    for (int32_t n = 0; n < count; n++) {
        note_answer(known, first + n, r->labels[n], scores + (size_t)n * (size_t)known->classes);
    }
}

/* Whether class a was recognised less often than b; those without pictures come last. */
static bool is_worse(const about_class *a, const about_class *b)
{
    if (!a->pictures || !b->pictures) return a->pictures && !b->pictures;
    return a->right * b->pictures < b->right * a->pictures;
}

static void sum_classes(findings *known)
{
    const int32_t k = known->classes;
    for (int32_t i = 0; i < k; i++) {
        about_class c = {i, 0, taken_for(known, i, i), 0};
        int32_t at = i;
        for (int32_t j = 0; j < k; j++) {
            c.pictures += taken_for(known, i, j), c.answers += taken_for(known, j, i);
        }
        for (; at > 0 && is_worse(&c, &known->by_class[at - 1]); at--) {
            known->by_class[at] = known->by_class[at - 1];
        }
        known->by_class[at] = c;
    }
}

static void sum_confusions(findings *known)
{
    for (int32_t label = 0; label < known->classes; label++) {
        for (int32_t answer = 0; answer < known->classes; answer++) {
            confused c = {label, answer, taken_for(known, label, answer)}, *of = known->confusions;
            int at = known->confusion_count;
            if (label == answer || !c.count) continue;
            while (at > 0 && of[at - 1].count < c.count) at--;
            if (at == CONFUSIONS) continue;
            if (known->confusion_count < CONFUSIONS) known->confusion_count++;
            for (int i = known->confusion_count - 1; i > at; i--) of[i] = of[i - 1];
            of[at] = c;
        }
    }
}

/* Every test picture by itself: a batch changes nothing. */
static bool find_answers(findings *known, failure *f)
{
    const size_t k = (size_t)known->r.job->test.classes;
    known->classes = (int32_t)k, known->pictures = known->r.job->test.count;
    known->matrix = calloc(k * k, sizeof *known->matrix);
    known->by_class = calloc(k, sizeof *known->by_class);
    if (!known->matrix || !known->by_class) return fail(f, 1, "no memory for %d classes", (int)k);
    if (!test_net(&known->r, &known->r.job->test, &known->loss, &known->right, note_batch, known,
                  f))
        return false;
    known->sure /= (double)known->pictures;
    sum_classes(known);
    sum_confusions(known);
    return true;
}

/* The log beside the checkpoint, whole lines only: another process may be writing to it. */
static bool find_curve(findings *known, const char *folder, failure *f)
{
    entry e = {0};
    point p;
    snprintf(e.folder, sizeof e.folder, "%s", folder);
    FILE *log = open_a_log(&e);
    if (!log) {
        snprintf(known->no_curve, sizeof known->no_curve, "%s/log.jsonl: %s", folder,
                 strerror(errno));
        return true;
    }
    bool good = true;
    while (good && next_point(log, &p)) {
        point *more = realloc(known->curve, (size_t)(known->points + 1) * sizeof p);
        if (!more) good = fail(f, 1, "no memory for the curves");
        if (more) known->curve = more, more[known->points++] = p;
    }
    if (good && !feof(log)) {
        good =
            fail(f, 2, "%s/log.jsonl: line %lld is damaged", folder, (long long)known->points + 1);
    }
    if (good && !known->points)
        snprintf(known->no_curve, sizeof known->no_curve, "%s/log.jsonl: empty", folder);
    fclose(log);
    return good;
}

static void see_cost(void *user, int32_t node, int32_t operand, const mls_tensor *t, const float *x)
{
    findings *known = user;
    cost c = {.node = node, .operand = operand, .format = t->format}, *more;
    if (mls_measure(t, x, &c.report) != MLS_OK) return; /* the step says what is not finite */
    more = realloc(known->costs, (size_t)(known->cost_count + 1) * sizeof c);
    known->no_memory |= !more;
    if (!more) return;
    known->costs = more;
    int32_t at = known->cost_count++;
    for (; at > 0; at--) { /* backward comes from the end */
        const cost *before = &more[at - 1];
        if (before->node < node || (before->node == node && before->operand < operand)) break;
        more[at] = *before;
    }
    more[at] = c;
}

static bool is_quantized(const mls_layer *l)
{
    return l->macs &&
           (is_low(l->formats.weight) || is_low(l->formats.activation) || is_low(l->formats.error));
}

/* The training pictures, as the run had them, as far as they are those of the test's classes. */
static bool load_training(const job *j, mls_data *train, failure *why)
{
    picture_set part[PARTS] = {{{0}, NULL}};
    options o = j->o;
    o.checkpoint = NULL; /* it is not only the test */
    bool good = load_all(&o, part, why) && same_classes(&part[TRAIN_PART].data, &j->test, why);
    *train = part[TRAIN_PART].data;
    for (int i = 0; i < PARTS; i++) {
        free(part[i].keys);
        if (i != TRAIN_PART) mls_data_free(&part[i].data);
    }
    return good;
}

/* A training step as the next epoch would begin, but nothing is updated. Without its pictures, or where
   numbers are not finite, there is none. */
static void find_costs(findings *known)
{
    run *r = &known->r;
    mls_data train = {0};
    mls_augment augment = {
        .crop = (int32_t)r->job->o.crop, .flip = !r->job->o.no_flip, .shuffle = 1};
    failure why = {0};
    mls_layer l;
    int quantized = 0;
    for (int32_t i = 0; i < r->net.count; i++) {
        quantized += mls_net_layer(&r->net, i, &l) == MLS_OK && is_quantized(&l);
    }
    for (int c = 0; c < CHANNELS; c++) {
        augment.mean[c] = (float)r->at.mean[c], augment.scale[c] = (float)r->at.scale[c];
    }
    if (!quantized) {
        fail(&why, 1, "all layers are fp32");
    } else if (load_training(r->job, &train, &why)) {
        int32_t count = train.count < r->job->o.batch ? train.count : (int32_t)r->job->o.batch;
        mls_status status =
            mls_data_batch(&train, &augment, r->seed, r->at.epoch, 0, count, r->images, r->labels);
        if (status != MLS_OK) fail(&why, 1, "a training batch: %s", mls_status_string(status));
        if (status == MLS_OK &&
            mls_net_inspect(&r->net, r->images, r->labels, count, see_cost, known) != MLS_OK) {
            fail(&why, 1, "a training step: %s", r->net.text);
        }
        if (known->no_memory) fail(&why, 1, "no memory for the errors of layers");
    }
    if (why.status) known->cost_count = 0;
    snprintf(known->no_costs, sizeof known->no_costs, "%s", why.text);
    mls_data_free(&train);
}

#endif /* PROGRAM_FINDINGS_H_INCLUDED */
