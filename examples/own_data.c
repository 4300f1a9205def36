/* own_data - trains a small network on arrays of your own, predicts one picture, saves the network.

       cc -O2 -I. examples/own_data.c -o own_data && ./own_data */
#include <stdio.h>
#include <stdlib.h>
#define MLS_IMPLEMENTATION
#include "mls_train.h"

enum {
    PICTURES = 256,
    SIDE = 8,
    BATCH = 32
};
static float pictures[PICTURES][SIDE][SIDE][1]; /* n, h, w, c; values around 0 */
static int32_t labels[PICTURES];

/* Put your data here. These are stripes that lie (class 0) or stand (class 1), with noise. */
static void make_data(void)
{
    for (int n = 0; n < PICTURES; n++) {
        labels[n] = n % 2;
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                float noise = (float)(rand() % 200) / 100 - 1;
                pictures[n][y][x][0] =
                    ((labels[n] ? x : y) + n / 2) % 4 < 2 ? 1 + noise : -1 + noise;
            }
    }
}

int main(void)
{
    static mls_node nodes[16];
    mls_net net;
    mls_net_desc desc = {0};
    mls_conv_desc conv = {0};
    mls_plan plan;
    mls_sgd sgd = {0.05f, 0.9f, 5e-4f, 0}; /* rate, momentum, weight decay */
    mls_result result;
    void *arena;
    int32_t x;

    make_data();
    desc.batch = BATCH, desc.seed = 1;
    mls_formats_parse(&desc.formats, "2,1", NULL, 0); /* 4-bit integers; "fp32" for floats */
    mls_net_begin(&net, &desc, nodes, 16);
    x = mls_net_input(&net, SIDE, SIDE, 1);
    for (int layer = 0; layer < 2; layer++) {
        conv.c_out = 8 << layer, conv.kh = 3, conv.stride = 1 + layer, conv.pad = 1;
        x = mls_net_relu(&net, mls_net_batch_norm(&net, mls_net_conv(&net, x, &conv)));
    }
    mls_net_loss(&net, mls_net_linear(&net, mls_net_global_pool(&net, x), 2));

    arena = mls_net_plan(&net, &plan) == MLS_OK ? malloc(plan.arena) : NULL;
    if (!arena || mls_net_bind(&net, arena, plan.arena) != MLS_OK) {
        fprintf(stderr, "%s\n", net.status ? net.text : "no memory");
        return 1;
    }
    for (int epoch = 0; epoch < 5; epoch++) {
        double loss = 0;
        for (int n = 0; n < PICTURES; n += BATCH) {
            if (mls_net_step(&net, pictures[n][0][0], labels + n, BATCH, &sgd, &result) != MLS_OK) {
                fprintf(stderr, "%s\n", net.text);
                return 1;
            }
            loss += result.loss * BATCH / PICTURES;
        }
        printf("epoch %d: loss %.4f\n", epoch + 1, loss);
    }
    if (mls_net_evaluate(&net, pictures[7][0][0], NULL, 1, NULL) == MLS_OK) {
        const float *score = mls_net_logits(&net);
        printf("picture 7 stands: %s (it does)\n", score[1] > score[0] ? "yes" : "no");
    }
    if (mls_net_save(&net, "own_data.mlsck", NULL, 0) != MLS_OK) fprintf(stderr, "%s\n", net.text);
    free(arena);
    return 0;
}
