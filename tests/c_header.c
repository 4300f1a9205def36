/* c_header.c - what mls export --c-header wrote to net.h computes what the checkpoint does that it is of, bit for
   bit, in C11 and in C++17:

       c_header CHECKPOINT

   The network is a narrow ResNet of ten classes in low bits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mls_train.h"
#include "net.h"

enum {
    PICTURES = 3
};
static int wrong;
static float picture[net_h * net_w * net_c];

static void check(int good, const char *what)
{
    if (!good) printf("%s\n", what), wrong = 1;
}

/* Builds a network to predict one picture; the arena stays. */
static void open_net(mls_net *net, mls_node *nodes, const void *bytes, size_t size)
{
    mls_net_desc desc;
    mls_plan plan;
    void *arena;
    memset(&desc, 0, sizeof desc), memset(&plan, 0, sizeof plan);
    desc.batch = 1, desc.inference = 1;
    check(mls_net_open(net, &desc, nodes, net_nodes, bytes, size) == MLS_OK, net->text);
    check(mls_net_plan(net, &plan) == MLS_OK, net->text);
    arena = malloc(plan.arena);
    check(arena && mls_net_bind(net, arena, plan.arena) == MLS_OK, net->text);
    check(mls_net_checkpoint_read(net, bytes, size, 0, 0) == MLS_OK, net->text);
    check(mls_net_pack(net) == MLS_OK, net->text);
}

static void make_picture(uint64_t seed)
{
    const size_t pixels = sizeof picture / sizeof *picture;
    for (size_t i = 0; i < pixels; i++) {
        const float byte = (float)(mls_random16(seed, i) >> 8);
        picture[i] = (byte - net_mean[i % net_c]) * net_scale[i % net_c];
    }
}

/* The arrays of the header are the tensors of the checkpoint's network. */
static mls_status compare_tensor(void *user, const mls_net_tensor *t)
{
    const mls_tensor own = net_layer1_0_conv1_weight_tensor;
    static float floats[sizeof net_layer1_0_conv1_weight_codes * 2];
    int *seen = (int *)user;
    if (strcmp(t->name, "layer1.0.conv1.weight") == 0) {
        check(t->codes && t->count == sizeof floats / sizeof *floats, "codes: how many");
        if (wrong) return MLS_OK;
        check(own.scale == t->codes->scale && own.scale == net_layer1_0_conv1_weight_scale,
              "the scale");
        check(memcmp(own.group, t->codes->group, sizeof net_layer1_0_conv1_weight_groups) == 0,
              "groups");
        check(memcmp(own.code, t->codes->code, sizeof net_layer1_0_conv1_weight_codes) == 0,
              "codes");
        check(mls_dequantize(&own, floats) == MLS_OK && floats[0] != t->values[0], "unpacked");
        ++*seen;
    }
    if (strcmp(t->name, "bn1.running_var") == 0) {
        check(sizeof net_bn1_running_var == t->count * sizeof(float) &&
                  memcmp(net_bn1_running_var, t->values, sizeof net_bn1_running_var) == 0,
              "floats");
        ++*seen;
    }
    return MLS_OK;
}

int main(int count, char **words)
{
    static mls_node nodes[2][net_nodes];
    static mls_net ours, theirs;
    int seen = 0;
    void *bytes = 0;
    size_t size = 0;
    char text[256] = "which checkpoint?";
    check(count == 2 && mls_file_load(words[1], &bytes, &size, text, sizeof text) == MLS_OK, text);
    if (wrong) return 1;
    open_net(&theirs, nodes[0], bytes, size);
    open_net(&ours, nodes[1], net_model, sizeof net_model);
    for (int n = 0; n < PICTURES && !wrong; n++) {
        make_picture(5 + (uint64_t)n);
        check(mls_net_evaluate(&theirs, picture, 0, 1, 0) == MLS_OK, theirs.text);
        check(mls_net_evaluate(&ours, picture, 0, 1, 0) == MLS_OK, ours.text);
        if (wrong) break;
        check(memcmp(mls_net_logits(&ours), mls_net_logits(&theirs), net_classes * sizeof(float)) ==
                  0,
              "other logits");
    }
    if (!wrong) mls_net_each_tensor(&theirs, compare_tensor, &seen);
    check(seen == 2, "a tensor is missing");
    check(strcmp(net_class_names[net_classes - 1], "texture 9") == 0,
          net_class_names[net_classes - 1]);
    return wrong;
}
