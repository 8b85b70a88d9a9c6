//! Orders of an axis's values.

use crate::value::Value;

/// Positions sorted by number: ascending where all values are numbers, as listed otherwise.
pub(super) fn ascending(values: &[Value]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..values.len()).map(position).collect();
    let numbers: Option<Vec<f64>> = values.iter().map(Value::as_number).collect();
    if let Some(numbers) = numbers {
        order.sort_by(|&a, &b| numbers[a as usize].total_cmp(&numbers[b as usize]));
    }
    order
}

/// Positions coarse to fine: both ends, then the middle, then the middles of the halves, and so on, so that the shape of a
/// curve shows early. Values that are no numbers keep their order.
pub(super) fn coarse_to_fine(values: &[Value]) -> Vec<u32> {
    let sorted = ascending(values);
    if values.len() < 3 || values.iter().any(|value| value.as_number().is_none()) {
        return sorted;
    }
    let last = sorted.len() - 1;
    let mut order = vec![sorted[0], sorted[last]];
    let mut gaps = std::collections::VecDeque::from([(0, last)]);
    while let Some((low, high)) = gaps.pop_front() {
        if high - low > 1 {
            let middle = low + (high - low) / 2;
            order.push(sorted[middle]);
            gaps.extend([(low, middle), (middle, high)]);
        }
    }
    order
}

fn position(index: usize) -> u32 {
    u32::try_from(index).expect("axes have at most a million values")
}
