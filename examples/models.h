/* models.h - networks as functions of a few lines, and a table of their names. A network of your own is a
   function and a row. Layers with weights have the names that PyTorch's networks give them, so that a
   state dict maps without a table. */
#ifndef MODELS_H_INCLUDED
#define MODELS_H_INCLUDED

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mls_train.h"

/* A network: model_find sets the first part, the caller the second. */
typedef struct model {
    void (*build)(mls_net *net, const struct model *m); /* from the input to the loss */
    int32_t nodes;                                      /* that mls_net_begin needs, at least */
    int32_t width;                                      /* channels of the first stage */
    int32_t blocks[4];                                  /* of residual stages */
    bool option_b; /* shortcuts: 1x1 convolutions, not pixels with channels of zeros */

    int32_t h, w, c, classes; /* of pictures, and what they show */
    float dropout, smoothing; /* before the last layer, of the labels */
} model;

/* ---- parts */

/* Names node x: block, which ends in a dot or is empty, and layer. */
static inline int32_t model_name(mls_net *net, int32_t x, const char *block, const char *layer)
{
    char name[64];
    snprintf(name, sizeof name, "%s%s", block, layer);
    return mls_net_name(net, x, name);
}

/* A convolution with a square kernel that keeps the size at stride 1. */
static inline mls_conv_desc model_conv(int32_t channels, int32_t kernel, int32_t stride)
{
    mls_conv_desc conv;
    memset(&conv, 0, sizeof conv);
    conv.c_out = channels, conv.kh = kernel, conv.stride = stride, conv.pad = kernel / 2;
    return conv;
}

/* A convolution without a bias, and its batch norm. */
static inline int32_t model_conv_norm(mls_net *net, int32_t x, const mls_conv_desc *conv,
                                      const char *block, const char *conv_name,
                                      const char *norm_name)
{
    x = model_name(net, mls_net_conv(net, x, conv), block, conv_name);
    return model_name(net, mls_net_batch_norm(net, x), block, norm_name);
}

/* The same with ReLU, named block.0 and block.1 as in a PyTorch Sequential. */
static inline int32_t model_conv_relu(mls_net *net, int32_t x, const mls_conv_desc *conv,
                                      const char *block)
{
    return mls_net_relu(net, model_conv_norm(net, x, conv, block, "0", "1"));
}

/* The mean over h and w, a linear layer, the loss. */
static inline void model_head(mls_net *net, const model *m, int32_t x, const char *name)
{
    x = mls_net_global_pool(net, x);
    if (m->dropout > 0) x = mls_net_dropout(net, x, m->dropout);
    x = mls_net_name(net, mls_net_linear(net, x, m->classes), name);
    mls_net_smooth_loss(net, x, m->smoothing);
}

/* ---- ResNet: "Deep Residual Learning for Image Recognition" (He et al. 2015) */

static inline int32_t model_resnet_block(mls_net *net, int32_t x, int32_t channels, int32_t stride,
                                         bool change, bool option_b, const char *name)
{
    const mls_conv_desc first = model_conv(channels, 3, stride),
                        second = model_conv(channels, 3, 1);
    const mls_conv_desc shortcut = model_conv(channels, 1, stride);
    int32_t y = model_conv_norm(net, x, &first, name, "conv1", "bn1");
    y = model_conv_norm(net, mls_net_relu(net, y), &second, name, "conv2", "bn2");
    if (change && option_b) {
        x = model_conv_norm(net, x, &shortcut, name, "downsample.0", "downsample.1");
    } else if (change) {
        x = mls_net_subsample(net, x, stride, channels);
    }
    return mls_net_relu(net, mls_net_add(net, y, x));
}

static inline int32_t model_resnet_stages(mls_net *net, const model *m, int32_t x)
{
    for (int32_t stage = 0; stage < 4; stage++) {
        for (int32_t i = 0; i < m->blocks[stage]; i++) {
            bool change = stage && i == 0;
            char name[32];
            snprintf(name, sizeof name, "layer%d.%d.", (int)stage + 1, (int)i);
            x = model_resnet_block(net, x, m->width << stage, change ? 2 : 1, change, m->option_b,
                                   name);
        }
    }
    return x;
}

/* For CIFAR-10 (section 4.2): three stages of width, 2 width, 4 width channels. */
static inline void model_resnet_cifar(mls_net *net, const model *m)
{
    const mls_conv_desc first = model_conv(m->width, 3, 1);
    int32_t x = mls_net_input(net, m->h, m->w, m->c);
    x = mls_net_relu(net, model_conv_norm(net, x, &first, "", "conv1", "bn1"));
    model_head(net, m, model_resnet_stages(net, m, x), "fc");
}

/* For ImageNet (table 1); pictures of up to 64 pixels start with a 3x3 convolution and no pool, as is
   usual for CIFAR-10. */
static inline void model_resnet_imagenet(mls_net *net, const model *m)
{
    const bool small = m->h <= 64 && m->w <= 64;
    const mls_conv_desc first = small ? model_conv(m->width, 3, 1) : model_conv(m->width, 7, 2);
    int32_t x = mls_net_input(net, m->h, m->w, m->c);
    x = mls_net_relu(net, model_conv_norm(net, x, &first, "", "conv1", "bn1"));
    if (!small) x = mls_net_max_pool(net, x, 3, 2, 1);
    model_head(net, m, model_resnet_stages(net, m, x), "fc");
}

/* ---- VGG-16 with batch norm: "Very Deep Convolutional Networks" (Simonyan, Zisserman 2014), with one
   linear layer, as is usual for CIFAR-10 */

static inline void model_vgg16(mls_net *net, const model *m)
{
    /* channels by width; 0: a pool */
    static const int8_t layers[] = {1, 1, 0, 2, 2, 0, 4, 4, 4, 0, 8, 8, 8, 0, 8, 8, 8, 0};
    int32_t x = mls_net_input(net, m->h, m->w, m->c), place = 0; /* in PyTorch's Sequential */
    for (size_t i = 0; i < sizeof layers; i++) {
        char conv_name[16], norm_name[16];
        mls_conv_desc conv = model_conv(m->width * layers[i], 3, 1);
        if (!layers[i]) {
            x = mls_net_max_pool(net, x, 2, 2, 0), place++;
            continue;
        }
        conv.bias = 1;
        snprintf(conv_name, sizeof conv_name, "%d", (int)place);
        snprintf(norm_name, sizeof norm_name, "%d", (int)place + 1);
        x = model_conv_norm(net, x, &conv, "features.", conv_name, norm_name);
        x = mls_net_relu(net, x), place += 3;
    }
    model_head(net, m, x, "classifier");
}

/* ---- GoogLeNet-like: "Going Deeper with Convolutions" (Szegedy et al. 2014) for small pictures, with
   batch norm and two 3x3 convolutions for a 5x5 one */

/* Channels of a block, in 64ths of the width: 1x1; 1x1, 3x3; 1x1, 3x3, 3x3; pool, 1x1. */
typedef struct model_inception {
    const char *name;
    int16_t one, three_in, three, five_in, five, pool;
} model_inception;

static inline int32_t model_inception_block(mls_net *net, const model *m, int32_t x,
                                            const model_inception *b)
{
    const int16_t channels[] = {b->one,  b->three_in, b->three, b->five_in,
                                b->five, b->five,     b->pool};
    static const int8_t kernel[] = {1, 1, 3, 1, 3, 3, 1}, starts[] = {1, 1, 0, 1, 0, 0, 1};
    static const char *const part[] = {"b1.0", "b2.0", "b2.3", "b3.0", "b3.3", "b3.6", "b4.1"};
    int32_t y = x, all = -1;
    for (int i = 0; i < 7; i++) {
        mls_conv_desc conv = model_conv((m->width * channels[i] + 63) / 64, kernel[i], 1);
        char name[32], norm[8];
        if (starts[i] && i) all = all < 0 ? y : mls_net_concat(net, all, y);
        if (starts[i]) y = i == 6 ? mls_net_max_pool(net, x, 3, 1, 1) : x;
        snprintf(name, sizeof name, "%s.%.3s", b->name, part[i]);
        snprintf(norm, sizeof norm, "%d", part[i][3] - '0' + 1);
        y = mls_net_relu(net, model_conv_norm(net, y, &conv, name, part[i] + 3, norm));
    }
    return mls_net_concat(net, all, y);
}

static inline void model_googlenet(mls_net *net, const model *m)
{
    static const model_inception blocks[] = {
        {"a3", 64, 96, 128, 16, 32, 32},     {"b3", 128, 128, 192, 32, 96, 64},
        {"a4", 192, 96, 208, 16, 48, 64},    {"b4", 160, 112, 224, 24, 64, 64},
        {"c4", 128, 128, 256, 24, 64, 64},   {"d4", 112, 144, 288, 32, 64, 64},
        {"e4", 256, 160, 320, 32, 128, 128}, {"a5", 256, 160, 320, 32, 128, 128},
        {"b5", 384, 192, 384, 48, 128, 128}};
    const mls_conv_desc first = model_conv(3 * m->width, 3, 1);
    int32_t x = mls_net_input(net, m->h, m->w, m->c);
    x = model_conv_relu(net, x, &first, "pre_layers.");
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        if (i == 2 || i == 7) x = mls_net_max_pool(net, x, 3, 2, 1);
        x = model_inception_block(net, m, x, &blocks[i]);
    }
    model_head(net, m, x, "linear");
}

/* ---- MobileNetV2-like: "Inverted Residuals and Linear Bottlenecks" (Sandler et al. 2018), with the
   strides that are usual for CIFAR-10, and ReLU for ReLU6 */

static inline int32_t model_bottleneck(mls_net *net, int32_t x, int32_t c_in, int32_t c_out,
                                       int32_t expand, int32_t stride, const char *name)
{
    const mls_conv_desc up = model_conv(expand * c_in, 1, 1), down = model_conv(c_out, 1, 1);
    mls_conv_desc middle = model_conv(expand * c_in, 3, stride);
    int32_t y = x;
    middle.groups = expand * c_in;
    y = mls_net_relu(net, model_conv_norm(net, y, &up, name, "conv1", "bn1"));
    y = mls_net_relu(net, model_conv_norm(net, y, &middle, name, "conv2", "bn2"));
    y = model_conv_norm(net, y, &down, name, "conv3", "bn3");
    return stride == 1 && c_in == c_out ? mls_net_add(net, y, x) : y;
}

static inline void model_mobilenet2(mls_net *net, const model *m)
{
    /* expansion, channels in 32nds of the width, blocks, stride of the first */
    static const int16_t stages[][4] = {{1, 16, 1, 1}, {6, 24, 2, 1},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                        {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    const mls_conv_desc first = model_conv(m->width, 3, 1), last = model_conv(40 * m->width, 1, 1);
    int32_t x = mls_net_input(net, m->h, m->w, m->c), channels = m->width, block = 0;
    x = mls_net_relu(net, model_conv_norm(net, x, &first, "", "conv1", "bn1"));
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        for (int j = 0; j < stages[i][2]; j++) {
            int32_t to = (m->width * stages[i][1] + 31) / 32;
            char name[32];
            snprintf(name, sizeof name, "layers.%d.", (int)block++);
            x = model_bottleneck(net, x, channels, to, stages[i][0], j ? 1 : stages[i][3], name);
            channels = to;
        }
    }
    x = mls_net_relu(net, model_conv_norm(net, x, &last, "", "conv2", "bn2"));
    model_head(net, m, x, "linear");
}

/* ---- by name */

/* Names, for help and errors. */
#define MODEL_NAMES                                                            \
    "resnet8, resnet14, resnet20 ... resnet1202, with a b for 1x1 shortcuts; " \
    "resnet18, resnet34, vgg16, googlenet, mobilenet2"

/* False for a name that is none. width 0: the network's own. */
static inline bool model_find(model *m, const char *name, int32_t width)
{
    static const struct {
        const char *name;
        model model;
    } rows[] = {
        {"resnet18", {model_resnet_imagenet, 80, 64, {2, 2, 2, 2}, true, 0, 0, 0, 0, 0, 0}},
        {"resnet34", {model_resnet_imagenet, 144, 64, {3, 4, 6, 3}, true, 0, 0, 0, 0, 0, 0}},
        {"vgg16", {model_vgg16, 64, 64, {0, 0, 0, 0}, false, 0, 0, 0, 0, 0, 0}},
        {"googlenet", {model_googlenet, 240, 64, {0, 0, 0, 0}, false, 0, 0, 0, 0, 0, 0}},
        {"mobilenet2", {model_mobilenet2, 180, 32, {0, 0, 0, 0}, false, 0, 0, 0, 0, 0, 0}}};
    const model cifar = {model_resnet_cifar, 0, 16, {0, 0, 0, 0}, false, 0, 0, 0, 0, 0, 0};
    char *end = NULL;
    bool good = false;
    long depth;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && !good; i++) {
        good = strcmp(name, rows[i].name) == 0;
        if (good) *m = rows[i].model;
    }
    if (!good && strncmp(name, "resnet", 6) == 0 && name[6] >= '1' && name[6] <= '9') {
        *m = cifar;
        depth = strtol(name + 6, &end, 10);
        m->option_b = *end == 'b';
        good = depth >= 8 && depth <= 1202 && depth % 6 == 2 && !end[m->option_b];
        for (int i = 0; i < 3 && good; i++) m->blocks[i] = (int32_t)(depth / 6);
        m->nodes = good ? 12 + 24 * m->blocks[0] : 0;
    }
    if (good && width) m->width = width;
    return good;
}

#endif /* MODELS_H_INCLUDED */
