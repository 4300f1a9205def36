/* c_header.h - the network as a C header, for programs without files: a packed model, which mls_net_open takes,
   and the same numbers tensor by tensor, in the order that C has them in: [c_out][kh][kw][c_in] */
#ifndef PROGRAM_C_HEADER_H_INCLUDED
#define PROGRAM_C_HEADER_H_INCLUDED

#include <ctype.h>

#include "opened.h"
#include "platform.h"
#include "tensors.h"

enum {
    C_COLUMNS = 100,
    C_NAME = TENSOR_NAME + 80
};

typedef struct c_header {
    growing text;
    char name[64]; /* of the file, which all names begin with */
    opened model;  /* what the header has */
    tensors list;
} c_header;

PRINTF(2, 3) static void c_put(c_header *h, const char *format, ...)
{
    char line[2048];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    append(&h->text, line, strlen(line));
}

/* Letters, digits and underscores. */
static void c_word(char *to, size_t size, const char *from, size_t length)
{
    for (; length && size > 1; length--, size--, from++) {
        *to++ = isalnum((unsigned char)*from) ? *from : '_';
    }
    *to = 0;
}

/* "digits" of "out/digits.v2.h". */
static void c_name_of(char *to, size_t size, const char *path)
{
    const char *from = path + strlen(path);
    while (from > path && !is_separator(from[-1])) from--;
    if (!isalpha((unsigned char)*from)) snprintf(to, size, "net_");
    const size_t used = strlen(to);
    c_word(to + used, size - used, from, strcspn(from, "."));
}

/* What a file says, in a comment. */
static void c_comment(c_header *h, const char *text)
{
    for (; text && *text; text++) {
        const char shown = isalnum((unsigned char)*text) || strchr("_.,:;= -", *text) ? *text : '?';
        append(&h->text, &shown, 1);
    }
}

/* Any bytes, as a string constant. */
static void c_string(c_header *h, const char *text)
{
    c_put(h, "%c", '"');
    for (; text && *text; text++) {
        const unsigned char c = (unsigned char)*text;
        const bool plain = c >= ' ' && c <= '~' && !strchr("\"\\?", *text);
        c_put(h, plain ? "%c" : "\\%03o", c);
    }
    c_put(h, "%c", '"');
}

/* ---- arrays */

typedef void c_number(const void *from, size_t i, char *text, size_t size);

static void c_byte(const void *from, size_t i, char *text, size_t size)
{
    snprintf(text, size, "%d", ((const uint8_t *)from)[i]);
}

static void c_group(const void *from, size_t i, char *text, size_t size)
{
    snprintf(text, size, "%d", ((const uint16_t *)from)[i]);
}

/* Exact, and the same from every C library. */
static void c_float(const void *from, size_t i, char *text, size_t size)
{
    uint32_t bits;
    memcpy(&bits, (const float *)from + i, 4);
    const int exponent = bits >> 23 & 255;
    snprintf(text, size, "%s0x%d.%06xp%df", bits >> 31 ? "-" : "", exponent > 0,
             (unsigned)(bits << 1 & 0xffffff), exponent > 0 ? exponent - 127 : -126);
    if (bits << 1 == 0) snprintf(text, size, "%s0.0f", bits ? "-" : "");
}

static void c_array(c_header *h, const char *type, const char *name, size_t count, c_number *number,
                    const void *from)
{
    char text[24];
    size_t column = C_COLUMNS;
    c_put(h, "static const %s %s_%s[%zu] = {", type, h->name, name, count);
    for (size_t i = 0; i < count && !h->text.no_memory; i++) {
        number(from, i, text, sizeof text);
        const bool fits = column + strlen(text) + 2 <= C_COLUMNS;
        column = (fits ? column + 1 : 4) + strlen(text) + 1;
        c_put(h, "%s%s%s", fits ? " " : "\n    ", text, i + 1 < count ? "," : "");
    }
    c_put(h, "};\n");
}

/* ---- tensors */

/* The codes of so many elements. */
static void c_codes(c_header *h, const char *name, const mls_tensor *t, size_t elements)
{
    const mls_format f = t->format;
    const int bits = mls_format_bits(f);
    const size_t bytes = bits <= 4 ? (elements + 1) / 2 : bits <= 8 ? elements : 2 * elements;
    char part[C_NAME], scale[24];
    c_float(&t->scale, 0, scale, sizeof scale);
    c_put(h, "static const float %s_%s_scale = %s;\n", h->name, name, scale);
    snprintf(part, sizeof part, "%s_groups", name);
    c_array(h, "uint16_t", part, mls_group_count(f, t->shape), c_group, t->group);
    snprintf(part, sizeof part, "%s_codes", name);
    c_array(h, "uint8_t", part, bytes, c_byte, t->code);
    c_put(h,
          "#define %s_%s_tensor \\\n    {{%d, %d, %d, %d, %d, %d, %d}, {%d, %d, %d, %d}, %s, \\\n",
          h->name, name, f.ex, f.mx, f.eg, f.mg, f.grouping, f.rounding, f.range, (int)t->shape.n,
          (int)t->shape.h, (int)t->shape.w, (int)t->shape.c, scale);
    c_put(h, "     (uint16_t *)%s_%s_groups, (uint8_t *)%s_%s_codes, 0}\n", h->name, name, h->name,
          name);
}

static bool c_tensor(c_header *h, const tensor *t, failure *f)
{
    char name[TENSOR_NAME], shape[96], format[MLS_FORMAT_TEXT] = "fp32";
    c_word(name, sizeof name, t->name, strlen(t->name));
    if (t->own.codes) mls_format_text(t->own.format, format, sizeof format);
    c_put(h, "\n/* %s: [%s], %s */\n", t->name,
          shape_text(t->own.rank, t->own.dims, shape, sizeof shape), format);
    for (const tensor *k = h->list.of; k < t; k++) {
        char other[TENSOR_NAME];
        c_word(other, sizeof other, k->name, strlen(k->name));
        if (strcmp(other, name) != 0) continue;
        return fail(f, 2, "--c-header: %s and %s have the same name in C", k->name, t->name);
    }
    for (size_t i = 0; i < t->own.count; i++) {
        if (is_finite((double)t->own.values[i])) continue;
        return fail(f, 2, "--c-header: %s: number %zu is not finite", t->name, i);
    }
    if (t->own.codes) c_codes(h, name, t->own.codes, t->own.count);
    if (!t->own.codes) c_array(h, "float", name, t->own.count, c_float, t->own.values);
    return true;
}

/* ---- the header */

static const char c_how[] =
    "   %s_model is a model as mls_train.h reads it, from memory that need not be writable:\n\n"
    "       static mls_node nodes[%s_nodes];\n"
    "       mls_net_desc desc = {0};\n"
    "       desc.batch = 1, desc.inference = 1;\n"
    "       mls_net_open(&net, &desc, nodes, %s_nodes, %s_model, sizeof %s_model);\n"
    "       mls_net_plan(&net, &plan);\n"
    "       mls_net_bind(&net, arena, plan.arena);\n"
    "       mls_net_checkpoint_read(&net, %s_model, sizeof %s_model, 0, 0);\n"
    "       mls_net_predict(&net, picture, 1, &which, probabilities);\n\n"
    "   Each returns MLS_OK, or net.text says why not. One thread takes an arena of %zu bytes, "
    "less\n"
    "   where pointers are short. picture is [%d][%d][%d] floats%s.\n\n"
    "   Below are the same numbers by name. What a program does not use, an optimizing compiler "
    "leaves\n"
    "   out. Weights in low bits are codes as in docs/FORMAT.md, with a code for the scale of each "
    "group\n"
    "   and a scale of the tensor. mls.h unpacks them:\n\n"
    "       mls_tensor t = NAME_tensor;\n"
    "       mls_dequantize(&t, floats); */\n";

static void c_head(c_header *h, const settings *about)
{
    const char *n = h->name, *of = get(about, "model"), *format = get(about, "format");
    progress at;
    mls_layer in, out;
    mls_net_layer(&h->model.net, 0, &in);
    mls_net_layer(&h->model.net, h->model.net.count - 1, &out);
    const bool normalised = in.shape.c <= CHANNELS && get_progress(&at, about);
    c_put(h, "/* %s - a network in C, written by mls export %s", n, MLS_VERSION_STRING);
    c_put(h, "%s", of ? ": " : ""), c_comment(h, of);
    c_put(h, "%s", of && format ? ", trained in " : ""), c_comment(h, format);
    c_put(h, "\n\n");
    c_put(h, c_how, n, n, n, n, n, n, n, h->model.plan.arena, (int)in.shape.h, (int)in.shape.w,
          (int)in.shape.c, normalised ? ", (byte - mean) * scale by channel" : "");
    c_put(h, "#ifndef %s_model_included\n#define %s_model_included\n#include <stdint.h>\n\n", n, n);
    c_put(h, "enum {\n    %s_h = %d, %s_w = %d, %s_c = %d,\n", n, (int)in.shape.h, n,
          (int)in.shape.w, n, (int)in.shape.c);
    c_put(h, "    %s_classes = %d,\n    %s_nodes = %d\n};\n", n, (int)out.shape.c, n,
          (int)h->model.net.count);
    if (normalised) {
        float mean[CHANNELS], scale[CHANNELS];
        for (int c = 0; c < CHANNELS; c++) {
            mean[c] = (float)at.mean[c], scale[c] = (float)at.scale[c];
        }
        c_array(h, "float", "mean", (size_t)in.shape.c, c_float, mean);
        c_array(h, "float", "scale", (size_t)in.shape.c, c_float, scale);
    }
    if (!get(about, "class_0")) return;
    c_put(h, "static const char *const %s_class_names[%d] = {", n, (int)out.shape.c);
    for (int i = 0; i < out.shape.c; i++) {
        char key[24];
        snprintf(key, sizeof key, "class_%d", i);
        c_put(h, i ? ",\n    " : "\n    "), c_string(h, get(about, key));
    }
    c_put(h, "};\n");
}

/* Takes the header. */
static bool c_write(c_header *h, const settings *about, const uint8_t *bytes, size_t size,
                    const char *path, failure *f)
{
    bool good = open_bytes(&h->model, bytes, size, 1, path, f);
    if (good && mls_net_pack(&h->model.net) != MLS_OK) {
        good = fail(f, 2, "--c-header: %s", h->model.net.text);
    }
    good = good && list_tensors(&h->list, &h->model.net, f);
    if (good) {
        c_head(h, about);
        c_array(h, "uint8_t", "model", size, c_byte, bytes);
    }
    for (size_t i = 0; good && i < h->list.count; i++) good = c_tensor(h, &h->list.of[i], f);
    c_put(h, "\n#endif\n");
    free_tensors(&h->list);
    close_opened(&h->model);
    if (good) return save_growing(&h->text, path, f);
    free(h->text.at);
    return false;
}

/* What it says is read from the model that it has. */
static bool write_c_header(const tensors *list, const settings *about, const char *path, failure *f)
{
    static c_header h;
    const size_t size = mls_net_model_size(list->net, 1, 0);
    uint8_t *bytes = malloc(size);
    if (!bytes) return fail(f, 1, "no memory for %s", path);
    memset(&h, 0, sizeof h);
    c_name_of(h.name, sizeof h.name, path);
    bool good = (mls_net_model_write(list->net, 1, NULL, 0, bytes, size) == MLS_OK ||
                 fail(f, 2, "--c-header: %s", list->net->text)) &&
                c_write(&h, about, bytes, size, path, f);
    free(bytes);
    return good;
}

#endif /* PROGRAM_C_HEADER_H_INCLUDED */
