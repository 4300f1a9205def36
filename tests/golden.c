/* golden.c - the digests that every build, kernel, thread count and machine must reach.
   golden --help lists the options.

   Twenty steps of ResNet-8 on the synthetic set in five formats; one evaluation; one stream of
   augmented pictures; a network small enough for a microcontroller, which is all there is with
   -DGOLDEN_SMALL. Exit status 1 if a digest differs. scripts/matrix.sh runs it everywhere. */
#define MLS_IMPLEMENTATION
#include "mls_train.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#if defined(_OPENMP)
#include <omp.h>
#endif

enum {
    PICTURES = 80,
    PIXELS = 32 * 32 * 3,
    STEPS = 20,
    MOST = 8 /* images of a step */
};

#define LOW20 "2,1:nc:2,0"
#define LOW31 "2,1:nc:3,1"
#define LOW81 "2,4:nc:8,1"
#define NONE4 "0,4:none"
#define UP    ":stochastic"

typedef struct training {
    const char *name, *weight, *data, *error;
    int32_t option_b, width, shrink, batch; /* shrink: of the 32 x 32 pictures */
    int32_t adamw;           /* 1: by AdamW, with a clipped gradient and an average */
    int32_t active;          /* 1: activations, dropout, a smoothed loss for relu and loss */
    uint64_t digest, logits; /* after the last step; of an evaluation, 0: none */
} training;

/* clang-format off */
static const training trainings[] = {
#ifndef GOLDEN_SMALL
    {"fp32",         "fp32", "fp32", "fp32",     0, 8, 2, 3, 0, 0,
     0xe695ed33d31aa541u, 0},
    {"2,1:nc:3,1",   LOW31,  LOW31,  LOW31 UP,   0, 8, 2, 3, 0, 0,
     0x514c29d65f943f33u, 0x37f35dd0116dfe8du},
    {"2,4:nc:8,1",   LOW81,  LOW81,  LOW81 UP,   0, 8, 2, 3, 0, 0,
     0x7962bc79c6cf6d70u, 0},
    {"0,4:none",     NONE4,  NONE4,  NONE4 UP,   0, 8, 2, 3, 0, 0,
     0xb8cfb216284a6116u, 0},
    {"2,1 option B", LOW20,  LOW20,  LOW20 UP,   1, 8, 2, 3, 0, 0,
     0x3b8fe091f11f721eu, 0},
#endif
    {"small",        LOW20,  LOW20,  LOW20 UP,   1, 4,  4, 3, 0, 0,
     0xccdb6295ec2ed057u, 0x55c7e8cf918d56beu},
    {"small AdamW",  LOW20,  LOW20,  LOW20 UP,   1, 4,  4, 3, 1, 0,
     0x80af734d5e31241du, 0x5aad3775632cf27du},
    {"small active", LOW20,  LOW20,  LOW20 UP,   1, 4,  4, 3, 0, 1,
     0xb041ab7d9d8e3895u, 0x8907f00816218509u},
};
static const uint64_t augmented = 0x531847564d104f98u;
/* clang-format on */

static mls_data pictures[2]; /* of training, of evaluation */
static float images[MOST * PIXELS];
static int32_t labels[MOST];
static int checked, missed;

/* Same on any byte order: FNV-1a over the bits, low byte first. */
static uint64_t hash(uint64_t h, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        for (int byte = 0; byte < 4; byte++) {
            h = (h ^ (bits >> (8 * byte) & 255)) * 0x100000001b3u;
        }
    }
    return h;
}
#define HASH_START 0xcbf29ce484222325u

static void expect(const char *name, const char *what, uint64_t is, uint64_t should)
{
    int same = is == should;
    printf("%-14s %-10s %016" PRIx64 "%s", name, what, is, same ? "\n" : " DIFFERS from ");
    if (!same) printf("%016" PRIx64 "\n", should);
    checked++, missed += !same;
}

static int32_t conv_norm(mls_net *net, int32_t x, int32_t c, int32_t k, int32_t stride)
{
    mls_conv_desc conv;
    memset(&conv, 0, sizeof conv);
    conv.c_out = c, conv.kh = k, conv.stride = stride, conv.pad = k / 2;
    return mls_net_batch_norm(net, mls_net_conv(net, x, &conv));
}

/* Another one in each stage. */
static int32_t activate(mls_net *net, int32_t x, const training *t, int stage)
{
    if (!t->active) return mls_net_relu(net, x);
    if (stage == 0) return mls_net_gelu(net, x);
    return stage == 1 ? mls_net_leaky_relu(net, x, 0.1f) : mls_net_sigmoid(net, x);
}

static void build(mls_net *net, const training *t)
{
    int32_t x = mls_net_input(net, 32, 32, 3);
    if (t->shrink > 1) x = mls_net_subsample(net, x, t->shrink, 3);
    x = activate(net, conv_norm(net, x, t->width, 3, 1), t, 0);
    for (int stage = 0; stage < 3; stage++) {
        int32_t c = t->width << stage, stride = stage ? 2 : 1;
        int32_t y = activate(net, conv_norm(net, x, c, 3, stride), t, stage);
        y = conv_norm(net, y, c, 3, 1);
        if (stage && t->option_b) x = conv_norm(net, x, c, 1, stride);
        if (stage && !t->option_b) x = mls_net_subsample(net, x, stride, c);
        x = activate(net, mls_net_add(net, y, x), t, stage);
    }
    x = mls_net_global_pool(net, x);
    if (t->active) x = mls_net_dropout(net, x, 0.2f);
    mls_net_smooth_loss(net, mls_net_linear(net, x, 10), t->active ? 0.1f : 0);
}

/* The next pictures: cropped and mirrored in training, as they are in evaluation. */
static mls_status batch(int evaluation, int64_t first, int32_t count)
{
    mls_augment augment;
    memset(&augment, 0, sizeof augment);
    if (!evaluation) augment.crop = 4, augment.flip = augment.shuffle = 1;
    return mls_data_batch(&pictures[evaluation], &augment, 1, first / PICTURES, first % PICTURES,
                          count, images, labels);
}

static mls_status train(mls_net *net, const training *t)
{
    const mls_sgd sgd = {t->adamw ? 0.01f : 0.1f, 0.9f, 5e-4f, 0};
    mls_status status = MLS_OK;
    for (int64_t step = 0; step < STEPS && status == MLS_OK; step++) {
        status = batch(0, step * t->batch, t->batch);
        if (status == MLS_OK) status = mls_net_step(net, images, labels, t->batch, &sgd, NULL);
    }
    return status;
}

static void check(const training *t)
{
    static mls_net net;
    static mls_node nodes[48];
    mls_net_desc desc;
    mls_plan plan;
    void *arena = NULL;
    memset(&desc, 0, sizeof desc);
    desc.batch = t->batch, desc.seed = 7;
    if (t->adamw) desc.optimizer = MLS_ADAMW, desc.clip = 1, desc.average = 1;
    mls_format_parse(&desc.formats.weight, t->weight);
    mls_format_parse(&desc.formats.activation, t->data);
    mls_format_parse(&desc.formats.error, t->error);
    mls_net_begin(&net, &desc, nodes, 48);
    build(&net, t);
    if (mls_net_plan(&net, &plan) == MLS_OK) {
        arena = malloc(plan.arena);
        mls_net_bind(&net, arena, plan.arena);
    }
    if (net.status != MLS_OK || train(&net, t) != MLS_OK) {
        printf("%-14s %s\n", t->name, net.text);
        checked++, missed++;
    } else {
        expect(t->name, "training", mls_net_digest(&net), t->digest);
        if (t->logits) {
            mls_status status = batch(1, 0, t->batch);
            if (t->adamw && status == MLS_OK) status = mls_net_use_average(&net, 1);
            if (status == MLS_OK) status = mls_net_evaluate(&net, images, labels, t->batch, NULL);
            if (status != MLS_OK) printf("%s\n", net.text);
            expect(t->name, "evaluation",
                   hash(HASH_START, mls_net_logits(&net), (size_t)t->batch * 10), t->logits);
        }
    }
    free(arena);
}

/* Two epochs and a half, in batches that divide nothing. */
static void check_augmented(void)
{
    uint64_t h = HASH_START;
    for (int64_t first = 0; first + 7 <= PICTURES * 5 / 2; first += 7) {
        int32_t count =
            first % PICTURES + 7 <= PICTURES ? 7 : (int32_t)(PICTURES - first % PICTURES);
        if (batch(0, first, count) != MLS_OK) break;
        h = hash(h, images, (size_t)count * PIXELS);
        for (int32_t i = 0; i < count; i++) h = (h ^ (uint64_t)labels[i]) * 0x100000001b3u;
    }
    expect("pictures", "augmented", h, augmented);
}

static int chosen(const char *name, int count, char **words)
{
    for (int i = 0; i < count; i++) {
        if (strstr(name, words[i])) return 1;
    }
    return count == 0;
}

static int wrong(const char *word, const char *why)
{
    fprintf(stderr, "golden: %s: %s (see --help)\n", word, why);
    return 2;
}

int main(int argc, char **argv)
{
    static uint8_t pixels[2][PICTURES * PIXELS], classes[2][PICTURES];
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at += 2) {
        const char *word = argv[at], *value = at + 1 < argc ? argv[at + 1] : NULL;
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            puts("golden [--kernel NAME] [--threads N] [NAME ...]   NAMEs choose, by a part\n"
                 "golden --kernels                                  lists the kernels here");
            return 0;
        }
        if (strcmp(word, "--kernels") == 0) {
            for (int i = 0; i < mls_kernel_count(); i++) puts(mls_kernel_name(i));
            return 0;
        }
        if (strcmp(word, "--kernel") != 0 && strcmp(word, "--threads") != 0) {
            return wrong(word, "no such option");
        }
        if (!value) return wrong(word, "its value is missing");
        if (strcmp(word, "--kernel") == 0 && mls_kernel_use(value) != MLS_OK) {
            fprintf(stderr, "golden: --kernel %s: not here; there are auto", value);
            for (int i = 0; i < mls_kernel_count(); i++) fprintf(stderr, " %s", mls_kernel_name(i));
            fprintf(stderr, "\n");
            return 2;
        }
#if defined(_OPENMP)
        if (strcmp(word, "--threads") == 0) omp_set_num_threads(atoi(value));
#endif
    }
    for (int part = 0; part < 2; part++) {
        pictures[part].pixels = pixels[part], pictures[part].labels = classes[part];
        if (mls_data_synthetic(&pictures[part], PICTURES, 5, (uint64_t)part) != MLS_OK) return 1;
    }
    for (size_t i = 0; i < sizeof trainings / sizeof *trainings; i++) {
        if (!chosen(trainings[i].name, argc - at, argv + at)) continue;
        check(&trainings[i]);
    }
    if (chosen("pictures", argc - at, argv + at)) check_augmented();
    printf("kernel %s\n%d passed, %d failed\n", mls_kernel_used(), checked - missed, missed);
    return missed || !checked;
}
