# conv.gp - the table of bench_conv --plot as bars, one chart for each direction:
#   gnuplot -e "table='conv.txt'; out='docs/conv.svg'" bench/conv.gp
set terminal svg size 1200,1050 font 'sans-serif,12' background 'white'
set output out
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.9 border -1
set boxwidth 0.9
set yrange [0:*]
set ylabel 'GMAC/s'
set grid ytics
set lmargin 14
set xtics rotate by 25 right scale 0
set key outside top center horizontal
set linetype 1 lc rgb '#08519c'
set linetype 2 lc rgb '#4292c6'
set linetype 3 lc rgb '#9ecae1'
set linetype 4 lc rgb '#a63603'
set linetype 5 lc rgb '#f16913'
set linetype 6 lc rgb '#fdae6b'
set multiplot layout 3,1
do for [d = 0:2] {
    set title word('forward backward-data backward-weight', d + 1)
    plot for [i = 2:7] table index d using i:xtic(1) title columnheader(i) linetype i - 1
}
unset multiplot
