/* parity.c - what this library computes, for others to compare with. From a checkpoint of the program in fp32:

       parity CHECKPOINT MODEL WIDTH SIDE COUNT STEPS FOLDER

   writes COUNT built-in pictures, SIDE x SIDE of them, to FOLDER/images (fp32, [n][c][h][w]) and
   FOLDER/labels (int32), their logits to FOLDER/logits, and then trains STEPS steps, 32 pictures each,
   round and round, without momentum, and prints the loss of each. */
#include <stdio.h>
#include <stdlib.h>
#define MLS_IMPLEMENTATION
#include "examples/models.h"

enum {
    OF_STEP = 32
};
static mls_net net;
static mls_node nodes[512];

static int save(const char *folder, const char *name, const void *bytes, size_t size)
{
    char path[1024];
    FILE *f;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "wb");
    return f && fwrite(bytes, 1, size, f) == size && fclose(f) == 0;
}

/* Channels before pixels. */
static void turn(const float *from, float *to, size_t count, size_t pixels, size_t channels)
{
    for (size_t n = 0; n < count; n++)
        for (size_t ch = 0; ch < channels; ch++)
            for (size_t p = 0; p < pixels; p++) *to++ = from[(n * pixels + p) * channels + ch];
}

static int complain(const char *text)
{
    fprintf(stderr, "parity: %s\n", text);
    return 2;
}

int main(int argc, char **argv)
{
    mls_data data;
    mls_augment augment;
    mls_net_desc desc;
    mls_plan plan;
    model m;
    if (argc != 8 || !model_find(&m, argv[2], (int32_t)atoi(argv[3])) || m.nodes > 512) {
        return complain("CHECKPOINT MODEL WIDTH SIDE COUNT STEPS FOLDER");
    }
    const int32_t side = (int32_t)atoi(argv[4]), count = (int32_t)atoi(argv[5]);
    const int steps = atoi(argv[6]);
    const size_t image = (size_t)side * (size_t)side * 3, all = (size_t)count;
    const char *folder = argv[7];
    memset(&desc, 0, sizeof desc), memset(&augment, 0, sizeof augment);
    memset(&data, 0, sizeof data);
    m.h = m.w = side, m.c = 3, m.classes = 10;
    desc.batch = count > OF_STEP ? count : OF_STEP;
    mls_net_begin(&net, &desc, nodes, 512);
    m.build(&net, &m);
    if (mls_net_plan(&net, &plan) != MLS_OK) return complain(net.text);
    void *arena = malloc(plan.arena);
    float *images = malloc(all * image * sizeof(float)),
          *turned = malloc(all * image * sizeof(float));
    int32_t *labels = malloc(all * sizeof *labels);
    /* a picture of another size is cut from as many bytes of the built-in ones */
    const size_t parts = (all * image + 3071) / 3072;
    data.pixels = malloc(parts * 3072), data.labels = malloc(parts);
    if (!arena || !images || !turned || !labels || !data.pixels || !data.labels) {
        return complain("no memory");
    }
    if (mls_net_bind(&net, arena, plan.arena) != MLS_OK ||
        mls_net_load(&net, argv[1], NULL, 0) != MLS_OK) {
        return complain(net.text);
    }
    mls_data_synthetic(&data, (int32_t)parts, 3, 5);
    data.h = data.w = side, data.count = count;
    mls_data_batch(&data, &augment, 0, 0, 0, count, images, labels);
    turn(images, turned, all, image / 3, 3);
    if (mls_net_evaluate(&net, images, NULL, count, NULL) != MLS_OK) return complain(net.text);
    if (!save(folder, "images", turned, all * image * sizeof(float)) ||
        !save(folder, "labels", labels, all * sizeof *labels) ||
        !save(folder, "logits", mls_net_logits(&net), all * 10 * sizeof(float))) {
        return complain("cannot write");
    }
    for (int i = 0; i < steps; i++) {
        const size_t first = (size_t)(i * OF_STEP % count);
        const mls_sgd sgd = {0.01f, 0, 5e-4f, 0};
        mls_result result;
        if (mls_net_step(&net, images + first * image, labels + first, OF_STEP, &sgd, &result) !=
            MLS_OK) {
            return complain(net.text);
        }
        printf("%.9g\n", result.loss);
    }
    return 0;
}
