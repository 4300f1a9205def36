/* models.h - networks as functions of a few lines. A network of your own goes beside them. Layers with
   weights have the names that PyTorch's networks give them, so that a state dict maps without a table. */
#ifndef MODELS_H_INCLUDED
#define MODELS_H_INCLUDED

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mls_train.h"

/* The CIFAR-10 ResNet of "Deep Residual Learning for Image Recognition" (He et al. 2015, section 4.2):
   a convolution, three stages of blocks with width, 2 width, 4 width channels, a linear layer. */
typedef struct model_resnet {
    int32_t blocks; /* of each stage: 6 blocks + 2 layers */
    int32_t width;
    bool option_b; /* shortcuts: 1x1 convolutions instead of zero-padded channels */
} model_resnet;

/* resnet8, resnet14, resnet20 ... resnet1202, or with a final b. False for other names. */
static inline bool model_resnet_named(model_resnet *m, const char *name, int32_t width)
{
    char *end = NULL;
    if (strncmp(name, "resnet", 6) != 0 || name[6] < '1' || name[6] > '9') return false;
    long depth = strtol(name + 6, &end, 10);
    m->option_b = *end == 'b';
    m->blocks = (int32_t)(depth / 6), m->width = width;
    return depth >= 8 && depth <= 1202 && depth % 6 == 2 && !end[m->option_b];
}

/* Nodes that mls_net_begin needs for it, at least. */
static inline int32_t model_resnet_nodes(const model_resnet *m)
{
    return 8 + 3 * m->blocks * 8 + 4;
}

/* Names node x: block, which ends in a dot or is empty, and layer. */
static inline int32_t model_name(mls_net *net, int32_t x, const char *block, const char *layer)
{
    char name[64];
    snprintf(name, sizeof name, "%s%s", block, layer);
    return mls_net_name(net, x, name);
}

/* A convolution that keeps the size at stride 1, without a bias, and its batch norm. */
static inline int32_t model_conv_norm(mls_net *net, int32_t x, int32_t channels, int32_t kernel,
                                      int32_t stride, const char *block, const char *conv_name,
                                      const char *norm_name)
{
    mls_conv_desc conv;
    memset(&conv, 0, sizeof conv);
    conv.c_out = channels, conv.kh = kernel, conv.stride = stride, conv.pad = kernel / 2;
    x = model_name(net, mls_net_conv(net, x, &conv), block, conv_name);
    return model_name(net, mls_net_batch_norm(net, x), block, norm_name);
}

static inline int32_t model_resnet_block(mls_net *net, int32_t x, int32_t channels, int32_t stride,
                                         bool option_b, const char *name)
{
    int32_t y = model_conv_norm(net, x, channels, 3, stride, name, "conv1", "bn1");
    y = model_conv_norm(net, mls_net_relu(net, y), channels, 3, 1, name, "conv2", "bn2");
    if (stride != 1 && option_b) {
        x = model_conv_norm(net, x, channels, 1, stride, name, "downsample.0", "downsample.1");
    } else if (stride != 1) {
        x = mls_net_subsample(net, x, stride, channels);
    }
    return mls_net_relu(net, mls_net_add(net, y, x));
}

/* From input pictures [n][side][side][3] to the loss over so many classes. */
static inline void model_resnet_build(mls_net *net, const model_resnet *m, int32_t side,
                                      int32_t classes)
{
    int32_t x = mls_net_input(net, side, side, 3);
    x = mls_net_relu(net, model_conv_norm(net, x, m->width, 3, 1, "", "conv1", "bn1"));
    for (int32_t stage = 0; stage < 3; stage++) {
        for (int32_t i = 0; i < m->blocks; i++) {
            int32_t stride = stage && i == 0 ? 2 : 1;
            char name[32];
            snprintf(name, sizeof name, "layer%d.%d.", (int)stage + 1, (int)i);
            x = model_resnet_block(net, x, m->width << stage, stride, m->option_b, name);
        }
    }
    x = mls_net_linear(net, mls_net_global_pool(net, x), classes);
    mls_net_loss(net, model_name(net, x, "", "fc"));
}

#endif /* MODELS_H_INCLUDED */
