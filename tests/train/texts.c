/* Formats by role and by product are read from texts and written to them, and so are the formats of
   layers. */

#define NEAREST "nearest:fit"
#define ERRORS  "stochastic:fit"
#define THREE   "w=2,1:nc:2,0:" NEAREST " a=2,1:nc:2,0:" NEAREST " e=2,1:nc:2,0:" ERRORS

static void texts_of_products(void)
{
    static const struct {
        const char *text, *all;
    } good[] = {
        {"2,1", THREE},
        {"2,1 w.data=2,1 a.weight=2,1 e.weight=2,1", THREE}, /* equal: one format */
        {"2,1 w.data=2,4", THREE " w.data=2,4:nc:2,0:" NEAREST},
        {"w.data=2,4", THREE " w.data=2,4:nc:2,0:" NEAREST},
        {"a.weight=0,7:none", THREE " a.weight=0,7:none:2,0:" NEAREST},
        {"e.weight=2,4:n:3,1", THREE " e.weight=2,4:n:3,1:" ERRORS},
        {"e.weight=2,4 e=2,1", THREE " e.weight=2,4:nc:2,0:" ERRORS}, /* in any order */
        {"w.data=2,4 2,1", THREE " w.data=2,4:nc:2,0:" NEAREST},
        {"a.weight=fp32 e.weight=fp32", THREE " a.weight=fp32 e.weight=fp32"},
        {"fp32 w.data=0,3:n:1,0", "w=fp32 a=fp32 e=fp32 w.data=0,3:n:1,0:" NEAREST},
        {"fp32", "fp32"},
        {"fp32 w.data=fp32", "fp32"},
        {"shiftquant-4",
         "w=0,3:c:2,0:" NEAREST " a=0,3:c:2,0:" NEAREST " e=0,3:c:2,0:" ERRORS
         " w.data=0,3:n:2,0:" NEAREST " a.weight=0,3:n:2,0:" NEAREST " e.weight=0,3:n:2,0:" ERRORS},
        {" shiftquant-8 ",
         "w=0,7:c:2,0:" NEAREST " a=0,7:c:2,0:" NEAREST " e=0,7:c:2,0:" ERRORS
         " w.data=0,7:n:2,0:" NEAREST " a.weight=0,7:n:2,0:" NEAREST " e.weight=0,7:n:2,0:" ERRORS},
    };
    static const struct {
        const char *text, *wrong;
    } bad[] = {
        {"2,1 w.data=2,4 w.data=2,4", "'w.data=2,4' gives a role a second"},
        {"2,1 w.weight=2,4", "'w.weight=2,4' is not a format"},
        {"2,1 a.data=2,4", "'a.data=2,4' is not a format"},
        {"2,1 w.data=", "'w.data=' is not a format"},
        {"2,1 w.data", "'w.data' is not a format"},
        {"shiftquant-7", "'shiftquant-7' is not a format"},
        {"w=shiftquant-4", "'w=shiftquant-4' is not a format"},
        {"shiftquant-4 e=2,1", "'e=2,1' gives a role a second"},
        {"shiftquant-4 e.weight=2,1", "'e.weight=2,1' gives a role a second"},
        {"e.weight=2,1 shiftquant-4", "'shiftquant-4' gives a role a second"},
        {"shiftquant-4 2,1", "'2,1' gives a role a second"},
    };
    mls_formats f, g;
    char text[MLS_FORMATS_TEXT], wrong[120];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        t_note("\"%s\"", good[i].text);
        f = formats_of(good[i].text);
        T_EQ_INT(mls_formats_text(f, text, sizeof text), MLS_OK);
        if (strcmp(text, good[i].all) != 0) t_fail(__FILE__, __LINE__, "\"%s\"", text);
        g = formats_of(text);
        T_EQ_MEM(&f, &g, sizeof f);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        t_note("\"%s\"", bad[i].text);
        memset(&f, 1, sizeof f), g = f;
        T_EQ_INT(mls_formats_parse(&f, bad[i].text, wrong, sizeof wrong), MLS_ERROR_FORMAT);
        T_EQ_MEM(&f, &g, sizeof f);
        if (!strstr(wrong, bad[i].wrong)) t_fail(__FILE__, __LINE__, "\"%s\"", wrong);
    }
    t_note("formats made by hand");
    memset(&f, 0, sizeof f);
    T_EQ_INT(mls_formats_text(f, text, sizeof text), MLS_OK);
    T_CHECK(strcmp(text, "fp32") == 0);
    f.weight = f.activation = f.error = parsed("2,4"); /* zero: as in the first */
    T_EQ_INT(mls_formats_text(f, text, sizeof text), MLS_OK);
    T_CHECK(strcmp(text, "w=2,4:nc:2,0:nearest:fit a=2,4:nc:2,0:nearest:fit "
                         "e=2,4:nc:2,0:nearest:fit") == 0);
    f.error_in_weight.rounding = MLS_ROUND_NONE; /* fp32 */
    T_EQ_INT(mls_formats_text(f, text, sizeof text), MLS_OK);
    T_CHECK(strstr(text, "fit e.weight=fp32") != NULL);
    f.error_in_weight.grouping = MLS_GROUP_N; /* neither */
    T_EQ_INT(mls_formats_text(f, text, sizeof text), MLS_ERROR_FORMAT);
    T_EQ_INT(mls_format_check(f.error_in_weight), MLS_ERROR_FORMAT);
}

/* The longest text of six formats has room. */
static void longest_text(void)
{
    const mls_format widest = parsed("5,10:none:8,1:stochastic:paper");
    const mls_format other = parsed("4,10:none:8,1:stochastic:paper");
    mls_formats f, g;
    char text[MLS_FORMATS_TEXT];
    f.weight = f.activation = f.error = widest;
    f.weight_in_data = f.activation_in_weight = f.error_in_weight = other;
    T_EQ_INT(mls_formats_text(f, text, sizeof text), MLS_OK);
    g = formats_of(text);
    T_EQ_MEM(&f, &g, sizeof f);
}

/* What a convolution's description leaves out is the network's, by role; fp32 can be said. */
static void roles_of_a_layer(void)
{
    static rig r;
    mls_net_desc desc;
    mls_conv_desc conv;
    mls_formats f, built = formats_of("w=2,1 a=2,4 e=2,3 e.weight=0,7");
    int32_t x;
    memset(&r, 0, sizeof r), memset(&desc, 0, sizeof desc), memset(&conv, 0, sizeof conv);
    desc.batch = 1, desc.formats = built;
    mls_net_begin(&r.net, &desc, r.nodes, NODES);
    x = mls_net_input(&r.net, 4, 4, 2);
    conv.c_out = 2, conv.kh = 1;
    x = mls_net_conv(&r.net, x, &conv);
    f = layer_formats(&r, x);
    T_CHECK(is_fp32(f.weight) && is_fp32(f.activation) && is_fp32(f.error)); /* the first */
    T_EQ_INT(f.weight.rounding, MLS_ROUND_NONE);
    x = mls_net_conv(&r.net, x, &conv);
    f = layer_formats(&r, x);
    T_EQ_MEM(&f, &built, sizeof f);
    conv.formats.weight = parsed("0,7"); /* and nothing else */
    x = mls_net_conv(&r.net, x, &conv);
    f = layer_formats(&r, x);
    T_EQ_MEM(&f.weight, &conv.formats.weight, sizeof f.weight);
    T_EQ_MEM(&f.activation, &built.activation, 6 * sizeof f.weight - sizeof f.weight);
    conv.formats = formats_of("w=fp32 a=2,1 e=2,1");
    x = mls_net_conv(&r.net, x, &conv);
    f = layer_formats(&r, x);
    T_EQ_MEM(&f, &conv.formats, sizeof f);
    memset(&conv.formats, 0, sizeof conv.formats);
    conv.formats.error_in_weight.rounding = MLS_ROUND_NONE; /* only that product */
    x = mls_net_conv(&r.net, x, &conv);
    f = layer_formats(&r, x);
    T_EQ_MEM(&f, &built, 5 * sizeof f.weight);
    T_CHECK(is_fp32(f.error_in_weight) && f.error_in_weight.rounding == MLS_ROUND_NONE);
    x = mls_net_linear(&r.net, x, 3);
    f = layer_formats(&r, x);
    T_CHECK(is_fp32(f.weight) && is_fp32(f.activation) && is_fp32(f.error)); /* the last */
    T_EQ_INT(mls_net_format(&r.net, x, &built), MLS_OK);
    f = layer_formats(&r, x);
    T_EQ_MEM(&f, &built, sizeof f);
    T_EQ_INT(r.net.status, MLS_OK);
}

/* The formats of each node, one to a word. */
static void say_formats(const rig *r, char *text, size_t size)
{
    text[0] = 0;
    for (int32_t i = 0; i < r->net.count; i++) {
        const mls_formats f = layer_formats(r, i);
        if (!f.weight.ex && !f.weight.rounding) continue;
        snprintf(text + strlen(text), size - strlen(text), "%d:%d%d ", (int)i, f.weight.ex,
                 f.weight.mx);
    }
}

/* conv1, conv2 and conv3 are nodes 1, 4 and 5, the linear layer is node 9. */
static void layers_by_text(void)
{
    static const struct {
        const char *text, *all;
    } good[] = {
        {"", "1:00 4:21 5:21 9:21 "},
        {"conv1=2,4", "1:24 4:21 5:21 9:21 "},
        {"conv=2,4", "1:24 4:24 5:24 9:21 "},
        {"linear=fp32", "1:00 4:21 5:21 9:00 "},
        {"linear1=2,3", "1:00 4:21 5:21 9:23 "},
        {"4=2,3", "1:00 4:23 5:21 9:21 "},
        {"4-9=2,3", "1:00 4:23 5:23 9:23 "},
        {" conv2-3=w=2,4 a=2,1 ;; 5=2,3;", "1:00 4:24 5:23 9:21 "},
        {"conv3-99=2,3", "1:00 4:21 5:23 9:21 "},
        {"conv=2,3; conv2=fp32", "1:23 4:00 5:23 9:21 "}, /* the later one counts */
    };
    static const struct {
        const char *text;
        mls_status status;
        const char *wrong;
    } bad[] = {
        {"conv4=2,1", MLS_ERROR_ARGUMENT, "there is no such layer: conv4=2,1"},
        {"conv0=2,1", MLS_ERROR_ARGUMENT, "there is no such layer: conv0=2,1"},
        {"2=2,1", MLS_ERROR_ARGUMENT, "there is no such layer: 2=2,1"},
        {"9-4=2,1", MLS_ERROR_ARGUMENT, "there is no such layer: 9-4=2,1"},
        {"conv2", MLS_ERROR_FORMAT, "want LAYERS=FORMATS, not conv2"},
        {"con=2,1", MLS_ERROR_FORMAT, "want LAYERS=FORMATS, not con=2,1"},
        {"conv2-=2,1", MLS_ERROR_FORMAT, "want LAYERS=FORMATS, not conv2-=2,1"},
        {"conv2x=2,1", MLS_ERROR_FORMAT, "want LAYERS=FORMATS, not conv2x=2,1"},
        {"2,1", MLS_ERROR_FORMAT, "want LAYERS=FORMATS, not 2,1"},
        {"=2,1", MLS_ERROR_FORMAT, "want LAYERS=FORMATS, not =2,1"},
        {"conv2=", MLS_ERROR_FORMAT, "'' is not a format"},
        {"conv2=2,1:foo", MLS_ERROR_FORMAT, "'2,1:foo' is not a format"},
        {"conv1=2,1; conv2=7,1", MLS_ERROR_FORMAT, "'7,1' is not a format"},
    };
    static rig r;
    char text[120], longest[400];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        t_note("\"%s\"", good[i].text);
        trial_build(&r, "2,1", "2,4");
        T_EQ_INT(mls_net_formats(&r.net, "conv1=2,1"), MLS_OK); /* so that it has room, too */
        T_EQ_INT(mls_net_formats(&r.net, "conv1=fp32"), MLS_OK);
        T_EQ_INT(mls_net_formats(&r.net, good[i].text), MLS_OK);
        T_REQUIRE(rig_bind(&r));
        say_formats(&r, text, sizeof text);
        if (strcmp(text, good[i].all) != 0) t_fail(__FILE__, __LINE__, "\"%s\"", text);
        T_EQ_INT(mls_net_formats(&r.net, good[i].text), MLS_OK); /* again, after planning */
        T_EQ_INT(mls_net_formats(&r.net, "conv2=2,2"), MLS_OK);
        T_EQ_INT(layer_formats(&r, 4).weight.mx, 2);
        steps(&r, 1);
        rig_free(&r);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        t_note("\"%s\"", bad[i].text);
        trial_build(&r, "2,1", NULL);
        T_EQ_INT(mls_net_formats(&r.net, bad[i].text), bad[i].status);
        if (!strstr(r.net.text, bad[i].wrong)) t_fail(__FILE__, __LINE__, "\"%s\"", r.net.text);
        T_EQ_INT(mls_net_plan(&r.net, NULL), bad[i].status); /* an error of building stays */
    }
    trial_build(&r, "2,1", NULL);
    memset(longest, '3', sizeof longest - 1), longest[sizeof longest - 1] = 0;
    T_EQ_INT(mls_net_formats(&r.net, longest), MLS_ERROR_FORMAT);
    T_CHECK(strcmp(r.net.text, "too long for LAYERS=FORMATS") == 0);
    trial_build(&r, "2,1", NULL);
    T_EQ_INT(mls_net_formats(&r.net, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_formats(NULL, ""), MLS_ERROR_ARGUMENT);
}

#define TEXTS_TESTS                                                            \
    T_TEST(texts_of_products), T_TEST(longest_text), T_TEST(roles_of_a_layer), \
        T_TEST(layers_by_text)
