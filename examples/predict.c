/* predict - what a saved network takes pictures for: their numbers, h x w x c of each, come as text.

       cc -O2 -I. examples/predict.c -o predict && ./predict own_data.mlsck < numbers.txt

   A checkpoint describes its network, so that nothing else is needed. */
#include <stdio.h>
#include <stdlib.h>
#define MLS_IMPLEMENTATION
#include "mls_train.h"

static int stop(const char *text)
{
    fprintf(stderr, "predict: %s\n", text);
    return 2;
}

int main(int count, char **words)
{
    mls_net_desc desc = {0};
    mls_net net;
    mls_plan plan;
    mls_layer first, last;
    void *file, *arena;
    size_t size, numbers, n = 0;
    char text[256];
    mls_checkpoint about;
    desc.batch = 1, desc.inference = 1;
    if (count != 2) return stop("want one checkpoint");
    if (mls_file_load(words[1], &file, &size, text, sizeof text) != MLS_OK) return stop(text);
    if (mls_checkpoint_look(file, size, &about, text, sizeof text) != MLS_OK) return stop(text);
    mls_node *nodes = malloc((size_t)about.nodes * sizeof *nodes + 1);
    if (!nodes) return stop("no memory");
    if (mls_net_open(&net, &desc, nodes, about.nodes, file, size) != MLS_OK) return stop(net.text);
    arena = mls_net_plan(&net, &plan) == MLS_OK ? malloc(plan.arena) : NULL;
    if (!arena || mls_net_bind(&net, arena, plan.arena) != MLS_OK ||
        mls_net_checkpoint_read(&net, file, size, NULL, 0) != MLS_OK) {
        return stop(net.status ? net.text : "no memory");
    }
    mls_net_layer(&net, 0, &first), mls_net_layer(&net, about.nodes - 1, &last);
    numbers = (size_t)first.shape.h * (size_t)first.shape.w * (size_t)first.shape.c;
    float *picture = malloc(numbers * sizeof *picture);
    float *probability = malloc((size_t)last.shape.c * sizeof *probability);
    if (!picture || !probability) return stop("no memory");
    while (scanf("%f", &picture[n]) == 1) {
        int32_t class;
        if (++n < numbers) continue;
        if (mls_net_predict(&net, picture, 1, &class, probability) != MLS_OK) return stop(net.text);
        printf("class %d, probability %.4f\n", (int)class, (double)probability[class]);
        n = 0;
    }
    free(picture), free(probability), free(arena), free(nodes), mls_file_free(file);
    return n ? stop("the last picture is not whole") : 0;
}
