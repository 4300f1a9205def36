/* parity.c - what this library computes, for others to compare with. From a checkpoint, in fp32:

       parity CHECKPOINT COUNT STEPS FOLDER

   writes COUNT built-in pictures, cut to the size that the network takes and normalised as it says, to
   FOLDER/images (fp32, [n][c][h][w]) and FOLDER/labels (int32), their scores to FOLDER/logits, and then trains
   STEPS steps, 16 pictures each, round and round, without momentum, and prints the loss of each. */
#include <stdio.h>
#include <stdlib.h>
#define MLS_IMPLEMENTATION
#include "mls_train.h"

enum {
    OF_STEP = 16
};
static mls_net net;
static mls_node nodes[512];

static int complain(const char *text)
{
    fprintf(stderr, "parity: %s\n", text);
    return 2;
}

static int save(const char *folder, const char *name, const void *bytes, size_t size)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return mls_file_save(path, bytes, size, NULL, 0) == MLS_OK;
}

/* Channels before pixels. */
static void turn(const float *from, float *to, size_t count, size_t pixels, size_t channels)
{
    for (size_t n = 0; n < count; n++)
        for (size_t ch = 0; ch < channels; ch++)
            for (size_t p = 0; p < pixels; p++) *to++ = from[(n * pixels + p) * channels + ch];
}

/* What the note of a checkpoint, lines "key value", says of a channel; 0: nothing. */
static float said(const mls_checkpoint *about, const char *key, int channel)
{
    char text[4096], line[32];
    const size_t size = about->note_size < sizeof text ? about->note_size : sizeof text - 1;
    memcpy(text, about->note, size), text[size] = 0;
    snprintf(line, sizeof line, "\n%s_%d ", key, channel);
    const char *at = strstr(text, line);
    return at ? strtof(at + strlen(line), NULL) : 0;
}

/* Null: net.text says why. */
static void *open_net(const char *path, mls_augment *augment)
{
    void *bytes, *arena = NULL;
    size_t size;
    mls_plan plan;
    mls_checkpoint about;
    mls_net_desc desc;
    memset(&desc, 0, sizeof desc), memset(augment, 0, sizeof *augment);
    desc.batch = OF_STEP;
    if (mls_file_load(path, &bytes, &size, net.text, sizeof net.text) != MLS_OK) return NULL;
    if (mls_net_open(&net, &desc, nodes, 512, bytes, size) == MLS_OK &&
        mls_net_formats(&net, "conv=fp32; linear=fp32") == MLS_OK &&
        mls_net_plan(&net, &plan) == MLS_OK && (arena = malloc(plan.arena)) != NULL &&
        mls_net_bind(&net, arena, plan.arena) == MLS_OK) {
        mls_net_checkpoint_read(&net, bytes, size, NULL, 0);
        mls_checkpoint_look(bytes, size, &about, NULL, 0);
        for (int c = 0; c < 3; c++) {
            augment->mean[c] = said(&about, "mean", c);
            augment->scale[c] = said(&about, "scale", c);
        }
    }
    mls_file_free(bytes);
    return net.status == MLS_OK ? arena : NULL;
}

/* Pictures in one row of bytes, cut anew. */
static int make_data(mls_data *data, const mls_shape *s, int32_t count)
{
    const size_t image = (size_t)(s->h * s->w * s->c);
    const int32_t parts = (int32_t)(((size_t)count * image + 3071) / 3072);
    const int32_t most = parts > count ? parts : count;
    memset(data, 0, sizeof *data);
    data->pixels = malloc((size_t)most * 3072), data->labels = malloc((size_t)most);
    if (!data->pixels || !data->labels) return 0;
    mls_data_synthetic(data, most, 3, 5);
    data->count = count, data->h = s->h, data->w = s->w, data->c = s->c;
    return 1;
}

/* Scores of all images, so many at a time as the network takes. */
static int score(const float *images, int32_t count, size_t image, float *to, size_t classes)
{
    for (int32_t n = 0; n < count; n += OF_STEP) {
        const int32_t some = count - n < OF_STEP ? count - n : OF_STEP;
        const size_t at = (size_t)n;
        if (mls_net_evaluate(&net, images + at * image, NULL, some, NULL) != MLS_OK) return 0;
        memcpy(to + at * classes, mls_net_logits(&net), (size_t)some * classes * sizeof *to);
    }
    return 1;
}

int main(int argc, char **argv)
{
    mls_data data;
    mls_layer input, loss;
    mls_augment augment;
    if (argc != 5) return complain("CHECKPOINT COUNT STEPS FOLDER");
    const int32_t count = (int32_t)atoi(argv[2]);
    if (!open_net(argv[1], &augment)) return complain(net.text);
    mls_net_layer(&net, 0, &input), mls_net_layer(&net, net.count - 1, &loss);
    const size_t pixels = (size_t)input.shape.h * (size_t)input.shape.w, c = (size_t)input.shape.c;
    const size_t all = (size_t)count, image = pixels * c, classes = (size_t)loss.shape.c;
    float *images = malloc(all * image * sizeof *images);
    float *turned = malloc(all * image * sizeof *turned);
    int32_t *labels = malloc(all * sizeof *labels);
    float *logits = malloc(all * classes * sizeof *logits);
    if (!images || !turned || !labels || !logits || !make_data(&data, &input.shape, count)) {
        return complain("no memory");
    }
    mls_data_batch(&data, &augment, 0, 0, 0, count, images, labels);
    turn(images, turned, all, pixels, c);
    if (!score(images, count, image, logits, classes)) return complain(net.text);
    if (!save(argv[4], "images", turned, all * image * sizeof *images) ||
        !save(argv[4], "labels", labels, all * sizeof *labels) ||
        !save(argv[4], "logits", logits, all * classes * sizeof *logits)) {
        return complain("cannot write");
    }
    for (int i = 0; i < atoi(argv[3]); i++) {
        const int32_t first = i * OF_STEP % count;
        const mls_sgd sgd = {0.001f, 0, 5e-4f, 0};
        mls_result r;
        if (mls_net_step(&net, images + (size_t)first * image, labels + first, OF_STEP, &sgd, &r) !=
            MLS_OK) {
            return complain(net.text);
        }
        printf("%.9g\n", r.loss);
    }
    return 0;
}
