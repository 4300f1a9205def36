/* tensors.h - the tensors of a network in the order of other programs: as PyTorch's, channels come before
   pixels: weights are [c_out][c_in][kh][kw], the inputs of a linear layer [c][h][w] */
#ifndef PROGRAM_TENSORS_H_INCLUDED
#define PROGRAM_TENSORS_H_INCLUDED

#include "settings.h"

enum {
    TENSOR_NAME = 80
};

/* own: [...][pixels][channels], elsewhere [...][channels][pixels]. */
typedef struct tensor {
    mls_net_tensor own;
    char name[TENSOR_NAME];
    int64_t dims[4]; /* elsewhere */
    size_t pixels, channels;
} tensor;

typedef struct tensors {
    tensor *of;
    size_t count;
    mls_net *net;
} tensors;

static mls_status keep_tensor(void *user, const mls_net_tensor *own)
{
    tensors *list = user;
    tensor *of = realloc(list->of, (list->count + 1) * sizeof *of), *t;
    mls_layer layer, before;
    if (!of) return MLS_ERROR_MEMORY;
    list->of = of, t = of + list->count++;
    memset(t, 0, sizeof *t);
    t->own = *own, t->pixels = t->channels = 1;
    snprintf(t->name, sizeof t->name, "%s", own->name);
    memcpy(t->dims, own->dims, sizeof t->dims);
    if (own->rank == 4) {
        t->pixels = (size_t)(own->dims[1] * own->dims[2]), t->channels = (size_t)own->dims[3];
        t->dims[1] = own->dims[3], t->dims[2] = own->dims[1], t->dims[3] = own->dims[2];
    } else if (own->rank == 2) {
        mls_net_layer(list->net, own->node, &layer);
        mls_net_layer(list->net, layer.inputs[0], &before);
        t->pixels = (size_t)before.shape.h * (size_t)before.shape.w;
        t->channels = (size_t)before.shape.c;
    }
    return MLS_OK;
}

/* All of a network, for free_tensors. */
static bool list_tensors(tensors *list, mls_net *net, failure *f)
{
    memset(list, 0, sizeof *list);
    list->net = net;
    return mls_net_each_tensor(net, keep_tensor, list) == MLS_OK ||
           fail(f, 1, "no memory for a list of tensors");
}

static void free_tensors(tensors *list)
{
    free(list->of);
    memset(list, 0, sizeof *list);
}

/* Where number i of the others is here. */
static float *number_at(const tensor *t, size_t i)
{
    const size_t image = t->pixels * t->channels, place = i % image;
    const size_t pixel = place % t->pixels, channel = place / t->pixels;
    return &t->own.values[i - place + pixel * t->channels + channel];
}

static void append_little(growing *to, uint64_t value, int bytes)
{
    char *at = grow(to, (size_t)bytes);
    for (int i = 0; at && i < bytes; i++, value >>= 8) at[i] = (char)(value & 255);
}

static uint64_t little(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

/* Little-endian fp32, in the order of others. */
static void append_numbers(growing *to, const tensor *t)
{
    char *at = grow(to, 4 * t->own.count);
    for (size_t i = 0; at && i < t->own.count; i++) {
        uint32_t bits;
        memcpy(&bits, number_at(t, i), 4);
        for (int k = 0; k < 4; k++) *at++ = (char)(bits >> (8 * k) & 255);
    }
}

/* As "16, 3, 3, 3". */
static const char *shape_text(int rank, const int64_t *dims, char *text, size_t size)
{
    text[0] = 0;
    for (int i = 0; i < rank; i++) {
        size_t used = strlen(text);
        snprintf(text + used, size - used, "%s%lld", i ? ", " : "", (long long)dims[i]);
    }
    return text;
}

/* A tensor of a file, whose bytes it points to. Nothing but size is sure to be right. */
typedef struct foreign {
    char name[TENSOR_NAME]; /* cut, for people; length says whether it is whole */
    size_t length;
    char type[8];
    int rank; /* more than 4: the first four dimensions */
    int64_t dims[4];
    const uint8_t *bytes;
    size_t size;
    bool taken;
} foreign;

typedef struct foreign_list {
    foreign *of;
    size_t count;
} foreign_list;

/* What a file says, for people: cut where it is full. */
static void plain_text(char *to, size_t size, const char *from, size_t length)
{
    for (; length && size > 1; length--, size--, from++) {
        *to++ = *from < ' ' || *from > '~' ? '?' : *from;
    }
    *to = 0;
}

/* A new one, or null: no memory. */
static foreign *add_foreign(foreign_list *list, const char *name, size_t length)
{
    foreign *of = realloc(list->of, (list->count + 1) * sizeof *of), *t;
    if (!of) return NULL;
    list->of = of, t = of + list->count++;
    memset(t, 0, sizeof *t);
    t->length = length;
    plain_text(t->name, sizeof t->name, name, length);
    return t;
}

#endif /* PROGRAM_TENSORS_H_INCLUDED */
