import { BarChart, LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { THREADS } from './places.ts';
import type { SpeedupRow } from './speedup.ts';

use([BarChart, LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

const WIDTH = 820;
const SEQUENTIAL = { name: 'one after another', color: '#111827' };
const CONTENDERS = [
  { name: 'mcp-taskpool', column: 'pool speedup', color: '#0a66c2' },
  { name: 'raw Piscina', column: 'Piscina speedup', color: '#e8a33d' },
] as const;

/** Speedup against the number of tasks, a panel for each tool, as an SVG. */
export function drawSpeedup(rows: readonly SpeedupRow[]): string {
  const tools = [...new Set(rows.map(({ tool }) => tool))];
  const counts = [...new Set(rows.map(({ tasks }) => tasks))];
  const panel = WIDTH / tools.length;
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: 400 });
  chart.setOption({
    animation: false,
    // Or it would not be read on a dark page.
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: 'sans-serif' },
    title: [
      { text: `Speedup of CPU-bound tasks on ${THREADS} threads`, left: 'center', top: 10 },
      ...tools.map((tool, n) => ({
        text: tool,
        left: panel * (n + 0.5),
        top: 44,
        textAlign: 'center' as const,
        textStyle: { fontSize: 14, fontWeight: 'normal' as const },
      })),
    ],
    legend: {
      bottom: 8,
      itemGap: 32,
      data: [...CONTENDERS.map(({ name }) => ({ name })), { name: SEQUENTIAL.name, icon: 'rect' }],
    },
    grid: tools.map((_, n) => ({ left: panel * n + 60, width: panel - 80, top: 76, bottom: 84 })),
    xAxis: tools.map((_, n) => ({
      type: 'category' as const,
      gridIndex: n,
      name: 'tasks at a time',
      nameLocation: 'middle' as const,
      nameGap: 28,
      data: counts.map(String),
    })),
    yAxis: tools.map((_, n) => ({
      type: 'value' as const,
      gridIndex: n,
      name: n === 0 ? 'times as fast as one after another' : '',
      nameLocation: 'middle' as const,
      nameGap: 36,
      min: 0,
      max: Math.ceil(THREADS * 1.1),
    })),
    series: tools.flatMap((tool, n) => {
      const own = rows.filter((row) => row.tool === tool);
      const axes = { xAxisIndex: n, yAxisIndex: n };
      return [
        ...CONTENDERS.map(({ name, column, color }) => ({
          ...axes,
          type: 'bar' as const,
          name,
          color,
          data: own.map((row) => row[column]),
        })),
        {
          ...axes,
          type: 'line' as const,
          ...SEQUENTIAL,
          data: counts.map(() => 1),
          lineStyle: { type: 'dashed' as const, width: 1.5 },
          symbol: 'none',
        },
      ];
    }),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
