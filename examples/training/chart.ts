import {init} from 'echarts';

/** The loss of each batch and the test accuracy after each epoch, as an SVG. */
export function lossCurve(losses: readonly number[], accuracies: readonly number[]): string {
  const chart = init(null, null, {renderer: 'svg', ssr: true, width: 760, height: 340});
  const perEpoch = losses.length / accuracies.length;
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    grid: {left: 60, right: 60, top: 50, bottom: 45},
    legend: {top: 10},
    xAxis: {type: 'value', name: 'batch', nameLocation: 'middle', nameGap: 28, max: losses.length},
    yAxis: [
      {type: 'value', name: 'loss', min: 0},
      {type: 'value', name: 'accuracy', min: 0.9, max: 1, splitLine: {show: false}},
    ],
    series: [
      {
        name: 'training loss',
        type: 'line',
        showSymbol: false,
        lineStyle: {width: 1.2},
        data: losses.map((loss, i) => [i + 1, loss]),
      },
      {
        name: 'test accuracy',
        type: 'line',
        yAxisIndex: 1,
        symbolSize: 8,
        data: accuracies.map((accuracy, i) => [(i + 1) * perEpoch, accuracy]),
      },
    ],
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
